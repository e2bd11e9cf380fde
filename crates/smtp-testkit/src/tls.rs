//! Certificates made for one test: an authority, and leaves that are good, or bad in one stated way.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// A certificate authority that nobody trusts but the test that made it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let mut params = parameters(&[]);
        params.distinguished_name.push(DnType::CommonName, "Authority of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key_pair()).expect("the parameters are complete");
        Self { issuer }
    }

    /// A leaf for `names`: domain names, or IP addresses as text.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.sign(&parameters(names))
    }

    /// A leaf for `names` whose time is over.
    pub fn issue_expired(&self, names: &[&str]) -> Identity {
        self.sign(&expired(parameters(names)))
    }

    /// A leaf for a client: its common name, and its other names, of which those with `@` are mailboxes.
    pub fn issue_client(&self, common_name: &str, names: &[&str]) -> Identity {
        self.sign(&client_parameters(common_name, names))
    }

    /// A leaf for a client whose time is over.
    pub fn issue_expired_client(&self, common_name: &str) -> Identity {
        self.sign(&expired(client_parameters(common_name, &[])))
    }

    /// A client that trusts this authority, speaks only `versions` and presents `identity` where it is asked to.
    pub fn client_config_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: &Identity,
    ) -> Arc<ClientConfig> {
        let config =
            self.client_builder(versions).with_client_auth_cert(identity.chain.clone(), identity.key.clone_key());
        Arc::new(config.expect("the key is the one that the certificate was made for"))
    }

    /// The authority's own certificate in PEM form, for programs that read it from a file.
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Roots that trust this authority and nothing else.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("the authority's own certificate is well-formed");
        roots
    }

    /// A client that trusts this authority, with TLS 1.2 and 1.3.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.client_config_with(rustls::DEFAULT_VERSIONS)
    }

    /// A client that trusts this authority and speaks only `versions`.
    pub fn client_config_with(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        Arc::new(self.client_builder(versions).with_no_client_auth())
    }

    fn client_builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the provider has cipher suites for every version")
            .with_root_certificates(self.roots())
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = key_pair();
        let leaf = params.signed_by(&key, &self.issuer).expect("the parameters are complete");
        Identity::new(&leaf, &key)
    }
}

/// A certificate chain with its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: PrivateKeyDer<'static>,
    key_pem: String,
}

impl Identity {
    /// A certificate for `names` that vouches for itself.
    pub fn self_signed(names: &[&str]) -> Self {
        let key = key_pair();
        let leaf = parameters(names).self_signed(&key).expect("the parameters are complete");
        Self::new(&leaf, &key)
    }

    fn new(leaf: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            chain: vec![leaf.der().clone()],
            chain_pem: leaf.pem(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: key.serialize_pem(),
        }
    }

    /// The leaf.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// The chain in PEM form, leaf first.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key in PEM form.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A server that presents this certificate, with TLS 1.2 and 1.3.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_with(rustls::DEFAULT_VERSIONS)
    }

    /// A server that presents this certificate and speaks only `versions`.
    pub fn server_config_with(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the provider has cipher suites for every version")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("the key is the one that the certificate was made for");
        Arc::new(config)
    }
}

fn client_parameters(common_name: &str, names: &[&str]) -> CertificateParams {
    let (mailboxes, domains): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains('@'));
    let mut params = parameters(&domains);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mailbox = |name: &str| SanType::Rfc822Name(name.try_into().expect("names are ASCII"));
    params.subject_alt_names.extend(mailboxes.into_iter().map(mailbox));
    params
}

fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names are ASCII");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    params
}

fn key_pair() -> KeyPair {
    KeyPair::generate().expect("the system has random octets")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
