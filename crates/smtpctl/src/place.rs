//! Where the server listens and where its queue is: from the command line, else from the configuration, else the defaults.

use std::io;
use std::path::PathBuf;

use smtp_admin::Client;
use smtp_config::file::{Admin, Queue};
use smtp_config::{ENVIRONMENT_VARIABLE, File, Found, Origin, ReadError, Source};

use crate::args::Global;
use crate::failure::Failure;

/// Where things are. The configuration is read when it is needed, so `--socket` works without one.
#[derive(Debug)]
pub(crate) struct Place {
    socket: Option<PathBuf>,
    configuration: Found,
}

/// Where mail is handed in.
#[derive(Debug)]
pub(crate) struct SubmissionPlace {
    /// The submit socket.
    pub(crate) socket: PathBuf,
    /// Where mail is left while the server is down.
    pub(crate) maildrop: PathBuf,
}

impl Place {
    pub(crate) fn find(global: &Global) -> Self {
        let configuration = smtp_config::find(global.config.clone(), std::env::var_os(ENVIRONMENT_VARIABLE));
        Self { socket: global.socket.clone(), configuration }
    }

    /// A client for the admin socket.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(Client::new(socket));
        }
        let socket = match self.read() {
            Ok(Some((source, file))) => source.resolve(&*file.admin.socket),
            Ok(None) => Admin::default().socket.into_value(),
            // The members of the admin group need not be able to read the configuration.
            Err(Failure::NotPermitted(_)) if self.configuration.origin == Origin::Default => {
                Admin::default().socket.into_value()
            }
            Err(failure) => return Err(failure),
        };
        Ok(Client::new(socket))
    }

    /// The directory of the queue.
    pub(crate) fn queue_directory(&self) -> Result<PathBuf, Failure> {
        Ok(match self.read()? {
            Some((source, file)) => source.resolve(&*file.queue.directory),
            None => Queue::default().directory.into_value(),
        })
    }

    /// Where mail is handed in. Most users may not read the configuration, and mail must not fail for its faults: without it
    /// that is the default.
    ///
    /// # Errors
    /// The command line names a configuration, and that one cannot be used: the mail would go elsewhere than was said.
    pub(crate) fn submission(&self) -> Result<SubmissionPlace, Failure> {
        match self.read() {
            Ok(Some((source, file))) => Ok(SubmissionPlace {
                socket: source.resolve(file.submit_socket()),
                maildrop: source.resolve(file.maildrop()),
            }),
            Err(failure) if self.configuration.origin == Origin::Argument => Err(failure),
            Ok(None) | Err(_) => {
                let file = File::default();
                Ok(SubmissionPlace { socket: file.submit_socket(), maildrop: file.maildrop() })
            }
        }
    }

    /// The configuration; `None` where nobody named one and the default is not there.
    fn read(&self) -> Result<Option<(Source, File)>, Failure> {
        let wrong = |text: String| Failure::Configuration(text);
        match Source::read(&self.configuration.path) {
            Ok(source) => {
                let file = source.file().map_err(|problems| wrong(problems.to_string()))?;
                Ok(Some((source, file)))
            }
            Err(ReadError::Missing { .. }) if self.configuration.origin == Origin::Default => Ok(None),
            Err(ReadError::Io { path, source }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(Failure::NotPermitted(format!("{} may not be read by this user", path.display())))
            }
            Err(error) => Err(wrong(format!("{:#}", anyhow::Error::new(error)))),
        }
    }
}
