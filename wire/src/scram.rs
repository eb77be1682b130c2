//! What is stored of a password: PostgreSQL's SCRAM-SHA-256 verifier, never the password.

use std::fmt;
use std::str::FromStr;

use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};

/// The bytes of a salt that we make.
pub const SALT_BYTES: usize = 16;

const MECHANISM: &str = "SCRAM-SHA-256";
const KEY_BYTES: usize = 32;

/// A SCRAM-SHA-256 verifier (RFC 5803). Its text is PostgreSQL's:
/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    iterations: usize,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// A text is no verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier")]
pub struct VerifierError;

impl ScramVerifier {
    /// The verifier of a password, with a random salt. Costs milliseconds, by design.
    pub fn derive(password: &str, salt: [u8; SALT_BYTES]) -> Self {
        let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
        let secret =
            ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, SCRAM_ITERATIONS);
        let ScramSecret::Verifier { salt, iterations, stored_key, server_key } = secret else {
            unreachable!("made as a verifier")
        };
        Self { iterations, salt, stored_key, server_key }
    }

    /// A verifier that no password fits, for a user that does not exist: the same user always gets the same
    /// salt, so that the exchange does not tell which users there are.
    pub fn mock(user: &str, server_secret: &[u8; KEY_BYTES]) -> Self {
        let salted =
            |label: &str| gen_salted_password(&format!("{label}:{user}"), server_secret, 1);
        let mut salt = salted("salt");
        salt.truncate(SALT_BYTES);
        Self {
            iterations: SCRAM_ITERATIONS,
            salt,
            stored_key: salted("stored"),
            server_key: salted("server"),
        }
    }

    /// The form that the exchange works on.
    pub fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
        }
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { iterations, salt, stored_key, server_key } = self;
        let (salt, stored, server) = (base64(salt), base64(stored_key), base64(server_key));
        write!(f, "{MECHANISM}${iterations}:{salt}${stored}:{server}")
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(..)")
    }
}

impl FromStr for ScramVerifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let mut parts = text.split('$');
        let (Some(MECHANISM), Some(costs), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifierError);
        };
        let (iterations, salt) = costs.split_once(':').ok_or(VerifierError)?;
        let (stored, server) = keys.split_once(':').ok_or(VerifierError)?;
        let iterations = iterations.parse().ok().filter(|count| *count > 0).ok_or(VerifierError)?;
        let key = |text| unbase64(text).filter(|key| key.len() == KEY_BYTES).ok_or(VerifierError);
        Ok(Self {
            iterations,
            salt: unbase64(salt).ok_or(VerifierError)?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place <= chunk.len() {
                let index = usize::try_from(group >> (18 - 6 * place) & 63).expect("six bits");
                text.push(char::from(ALPHABET[index]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut group, mut bits) = (0u32, 0);
    for byte in &bytes[..bytes.len() - padding] {
        let value = ALPHABET.iter().position(|letter| letter == byte)?;
        group = group << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(group >> bits & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_survives_its_text() {
        let verifier = ScramVerifier::derive("secret", [7; SALT_BYTES]);
        assert_eq!(verifier.to_string().parse(), Ok(verifier));
    }

    #[test]
    fn base64_is_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(unbase64(coded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(unbase64("Zg="), None);
        assert_eq!(unbase64("Z==="), None);
        assert_eq!(unbase64("Zm9v!m8="), None);
    }

    #[test]
    fn a_mock_is_stable_for_a_user() {
        let secret = [1; KEY_BYTES];
        assert_eq!(ScramVerifier::mock("a", &secret), ScramVerifier::mock("a", &secret));
        assert_ne!(ScramVerifier::mock("a", &secret), ScramVerifier::mock("b", &secret));
    }
}
