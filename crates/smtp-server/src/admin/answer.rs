//! How requests are read and answers are written.

use std::error::Error;
use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smtp_admin::Problem;

/// A request that is not answered as it was meant.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    /// The request cannot be meant so.
    pub(super) fn bad_request(error: impl Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }

    /// There is no such thing.
    pub(super) fn not_found(error: impl Display) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.to_string() }
    }

    /// It cannot be done as things are.
    pub(super) fn conflict(error: impl Display) -> Self {
        Self { status: StatusCode::CONFLICT, error: error.to_string() }
    }

    /// The caller is a stranger.
    pub(super) fn forbidden() -> Self {
        Self { status: StatusCode::FORBIDDEN, error: "be root or a member of the admin group".to_owned() }
    }

    /// It was tried and failed; the chain of causes goes with it.
    pub(super) fn failed(error: &dyn Error) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: chain(error) }
    }

    /// What the body of the answer says.
    pub(super) fn into_problem(self) -> Problem {
        Problem { error: self.error }
    }

    /// There is no such request.
    pub(super) fn unknown(request: &Request) -> Self {
        let (method, path) = (request.method(), request.uri().path());
        Self::not_found(format!("there is no request {method} {path}: are smtpctl and the server of one version?"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.into_problem())).into_response()
    }
}

/// An answer in JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(octets) => ([(CONTENT_TYPE, "application/json")], octets).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// Reads the body of a request.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the request is not understood: {error}")))
}

/// What failed, then why.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
