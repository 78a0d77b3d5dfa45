//! Access tokens: HS256, issuer, audience, end, scope. Those that were good are remembered.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::handlers::{problem, with_header};

const KNOWN_TOKENS: usize = 1024;

#[derive(Deserialize)]
pub struct Claims {
    exp: u64,
    sub: String,
    pub client_id: String,
    scope: String,
}

pub struct Tokens {
    key: DecodingKey,
    rules: Validation,
    known: RwLock<HashMap<[u8; 32], Arc<Claims>>>,
}

enum Fault {
    Invalid,
    Expired,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Tokens {
    pub fn new(secret: &str, issuer: &str, audience: &str) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.validate_nbf = true;
        rules.leeway = 0;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), rules, known: RwLock::default() }
    }

    fn verify(&self, token: &str) -> Result<Arc<Claims>, Fault> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let known = self.known.read().expect("no holder panics").get(&digest).cloned();
        if let Some(claims) = known {
            return if now() < claims.exp { Ok(claims) } else { Err(Fault::Expired) };
        }
        let token = jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Fault::Expired,
            _ => Fault::Invalid,
        })?;
        if token.header.typ.as_deref() != Some("at+jwt") || token.claims.client_id != token.claims.sub {
            return Err(Fault::Invalid);
        }
        let claims = Arc::new(token.claims);
        let mut known = self.known.write().expect("no holder panics");
        if known.len() >= KNOWN_TOKENS {
            known.clear();
        }
        known.insert(digest, claims.clone());
        Ok(claims)
    }

    /// Lets only those through whose token has the scope. The answer to the others is boxed, as it is large.
    pub fn check(&self, headers: &HeaderMap, scope: &str) -> Result<Arc<Claims>, Box<Response>> {
        let refused = |status, code, detail: &str, challenge: &str| {
            Box::new(with_header(problem(status, code, detail), header::WWW_AUTHENTICATE, challenge))
        };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = match bearer.and_then(|value| value.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty() => token,
            _ => {
                let detail = "Missing or invalid Authorization header";
                return Err(refused(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", detail, "Bearer"));
            }
        };
        let invalid = "Bearer error=\"invalid_token\"";
        match self.verify(token) {
            Ok(claims) if claims.scope.split(' ').any(|one| one == scope) => Ok(claims),
            Ok(_) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                let detail = format!("The access token lacks the scope {scope}");
                Err(refused(StatusCode::FORBIDDEN, "FORBIDDEN", &detail, &challenge))
            }
            Err(Fault::Expired) => {
                Err(refused(StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "The access token has expired", invalid))
            }
            Err(Fault::Invalid) => {
                Err(refused(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", "The access token is not valid", invalid))
            }
        }
    }
}
