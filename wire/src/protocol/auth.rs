//! Authentication: trust, or SCRAM-SHA-256 against a stored verifier.

use std::fmt;
use std::net::IpAddr;

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::error::PgWireError;
use rotabase_queries::error::{SqlError, SqlState};
use serde::{Deserialize, Serialize};

use super::failure::{Failure, Outcome};
use super::input::Body;
use super::link::Link;
use crate::scram::ScramVerifier;
use crate::session::Login;

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// Its word is taken.
    Trust,
    /// A role that has a password has to prove it; the word of one that has none is taken.
    PasswordIfSet,
    /// It has to prove its role's password; a role without one is refused.
    Scram,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trust => "trust",
            Self::PasswordIfSet => "password-if-set",
            Self::Scram => "scram",
        })
    }
}

/// Which method is for whom.
#[derive(Clone, Copy, Debug)]
pub struct AuthPolicy {
    /// For clients on this machine.
    pub local: AuthMethod,
    /// For all others.
    pub remote: AuthMethod,
    /// Whether clients from elsewhere have to use TLS.
    pub tls_required: bool,
    /// What the verifiers of users that do not exist are made from.
    pub secret: [u8; 32],
}

impl AuthPolicy {
    /// The method for a client at an address.
    fn method(&self, address: IpAddr) -> AuthMethod {
        if address.to_canonical().is_loopback() { self.local } else { self.remote }
    }
}

/// What is known of a client that wants to log in.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a str,
    pub(crate) login: Option<Login>,
    pub(crate) address: IpAddr,
    pub(crate) encrypted: bool,
    /// What binds a password to the connection, if something does.
    pub(crate) bound: Option<&'a ScramServerAuth>,
}

/// Lets a client prove that it is who it says. Whether it is a superuser.
pub(crate) async fn authenticate(
    link: &mut Link,
    policy: &AuthPolicy,
    claim: Claim<'_>,
) -> Outcome<bool> {
    let Claim { user, login, address, encrypted, bound } = claim;
    if policy.tls_required && !encrypted && !address.to_canonical().is_loopback() {
        let message = "this server takes only encrypted connections";
        return Err(Failure::fatal(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            message,
        )));
    }
    let verifier = login.as_ref().and_then(|login| login.verifier.clone());
    let proves = match policy.method(address) {
        AuthMethod::Trust => false,
        AuthMethod::PasswordIfSet => verifier.is_some(),
        AuthMethod::Scram => true,
    };
    if proves {
        let known = verifier.is_some();
        let verifier = verifier.unwrap_or_else(|| ScramVerifier::mock(user, &policy.secret));
        let is_proven = scram(link, &verifier, bound).await?;
        if !is_proven || !known {
            let message = format!("password authentication failed for user \"{user}\"");
            return Err(Failure::fatal(SqlError::new(SqlState::INVALID_PASSWORD, message)));
        }
    }
    let refused = |message| {
        Failure::fatal(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message))
    };
    let Some(login) = login else { return Err(refused(format!("role \"{user}\" does not exist"))) };
    if !login.can_login {
        return Err(refused(format!("role \"{user}\" is not permitted to log in")));
    }
    Ok(login.superuser)
}

/// The SCRAM exchange; whether the client knows the password.
async fn scram(
    link: &mut Link,
    verifier: &ScramVerifier,
    bound: Option<&ScramServerAuth>,
) -> Outcome<bool> {
    link.output.message(b'R', |body| {
        body.extend_from_slice(&10_i32.to_be_bytes());
        if bound.is_some() {
            body.extend_from_slice(SCRAM_PLUS.as_bytes());
            body.push(0);
        }
        body.extend_from_slice(SCRAM.as_bytes());
        body.extend_from_slice(&[0, 0]);
    });
    let first = password_message(link).await?;
    let mut body = Body::new(&first);
    let mechanism = body.text().map_err(Failure::fatal)?;
    let length = body.int32().map_err(Failure::fatal)?;
    let binds = match mechanism {
        SCRAM => false,
        SCRAM_PLUS if bound.is_some() => true,
        _ => {
            return Err(Failure::out_of_step(
                "client selected an invalid SASL authentication mechanism",
            ));
        }
    };
    let length = usize::try_from(length).map_err(|_| malformed("the first message is empty"))?;
    let client_first = body.take(length).map_err(Failure::fatal)?;
    if binds != client_first.starts_with(b"p=") {
        return Err(malformed("the channel binding does not fit the mechanism"));
    }
    let unbound = ScramServerAuth::new();
    let server = bound.unwrap_or(&unbound);
    let (server_first, exchange) = server
        .on_client_first_message_with_secret(client_first, verifier.secret())
        .map_err(|error| malformed(&error.to_string()))?;
    link.output.message(b'R', |body| {
        body.extend_from_slice(&11_i32.to_be_bytes());
        body.extend_from_slice(server_first.as_bytes());
    });
    let last = password_message(link).await?;
    match exchange.on_client_final_message(&last) {
        Ok(server_final) => {
            link.output.message(b'R', |body| {
                body.extend_from_slice(&12_i32.to_be_bytes());
                body.extend_from_slice(server_final.as_bytes());
            });
            Ok(true)
        }
        Err(PgWireError::InvalidPassword(_)) => Ok(false),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

async fn password_message(link: &mut Link) -> Outcome<Vec<u8>> {
    let frame = link.frame().await?;
    if frame.letter != b'p' {
        let message = format!("expected SASL response, got message type {}", frame.letter);
        return Err(Failure::out_of_step(message));
    }
    Ok(link.input.slice(&frame.body).to_vec())
}

fn malformed(reason: &str) -> Failure {
    let error = SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message");
    Failure::fatal(error.with_detail(format!("{reason}.")))
}
