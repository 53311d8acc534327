//! What a token says, once its signature is known to be right (RFC 7519, section 4).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Refusal, Role};

/// The longest subject, in characters (OpenID Connect Core, section 2).
const MAX_SUBJECT: usize = 255;
/// The longest of a customer: it is the `customer_id` of their bookings.
const MAX_CUSTOMER: usize = 128;

/// What a token must say.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// The claim that has the role, or several.
    pub(crate) role_claim: String,
    /// How far the clocks of issuer and service may be apart.
    pub(crate) leeway: Duration,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    /// None: it has none that is known here.
    pub(crate) role: Option<Role>,
    /// Since 1970.
    pub(crate) expires_at: Duration,
}

impl Rules {
    /// Judges the payload of a token at this time since 1970.
    pub(crate) fn judge(&self, payload: &[u8], now: Duration) -> Result<Claims, Refusal> {
        let claims: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| Refusal::Malformed)?;
        let expires_at = time(&claims, "exp")?.ok_or(Refusal::MissingClaim)?;
        if self.is_over(expires_at, now) {
            return Err(Refusal::Expired);
        }
        if time(&claims, "nbf")?.is_some_and(|from| now.saturating_add(self.leeway) < from) {
            return Err(Refusal::NotYetValid);
        }
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(Refusal::Issuer);
        }
        if !claims.get("aud").is_some_and(|audience| texts(audience).any(|name| name == self.audience)) {
            return Err(Refusal::Audience);
        }
        let role = self.roles(&claims).and_then(|roles| {
            Role::ALL.into_iter().find(|role| texts(roles).any(|name| name == role.as_str()))
        });
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let longest = if role == Some(Role::Customer) { MAX_CUSTOMER } else { MAX_SUBJECT };
        if subject.is_empty() {
            return Err(Refusal::MissingClaim);
        }
        if subject.chars().count() > longest || subject.chars().any(char::is_control) {
            return Err(Refusal::Subject);
        }
        Ok(Claims { subject: subject.to_owned(), role, expires_at })
    }

    /// Whether what expires then has expired.
    pub(crate) fn is_over(&self, expires_at: Duration, now: Duration) -> bool {
        now >= expires_at.saturating_add(self.leeway)
    }

    /// The claim with the roles: by its whole name, or else within objects, by a name with dots.
    fn roles<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        claims.get(&self.role_claim).or_else(|| {
            let mut names = self.role_claim.split('.');
            let first = claims.get(names.next()?)?;
            names.try_fold(first, |within, name| within.get(name))
        })
    }
}

/// A text, or all that are in a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let several = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(several)
}

/// A time since 1970.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map(Some).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn rules() -> Rules {
        Rules {
            issuer: "https://issuer.example".to_owned(),
            audience: "holdfast".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            leeway: Duration::from_secs(10),
        }
    }

    fn good() -> Value {
        json!({
            "iss": "https://issuer.example", "aud": ["other", "holdfast"], "sub": "ada", "exp": 1_001, "nbf": 999.5,
            "realm_access": { "roles": ["other", "customer"] },
        })
    }

    fn good_of(role: &str) -> Value {
        let mut claims = good();
        claims["realm_access"]["roles"] = json!([role]);
        claims
    }

    fn judge(claims: &Value) -> Result<Claims, Refusal> {
        rules().judge(claims.to_string().as_bytes(), NOW)
    }

    #[test]
    fn a_token_says_whose_it_is_and_what_they_are() {
        let said = judge(&good()).unwrap();
        assert_eq!((said.subject.as_str(), said.role), ("ada", Some(Role::Customer)));
        assert_eq!(said.expires_at, Duration::from_secs(1_001));
        let mut one = good();
        one["aud"] = json!("holdfast");
        assert!(judge(&one).is_ok());
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for (name, value, why) in [
            ("exp", Value::Null, Refusal::Malformed),
            ("exp", json!("1001"), Refusal::Malformed),
            ("exp", json!(-1), Refusal::Malformed),
            ("exp", json!(990), Refusal::Expired),
            ("nbf", json!(1_011), Refusal::NotYetValid),
            ("iss", json!("https://issuer.example/"), Refusal::Issuer),
            ("iss", Value::Null, Refusal::Issuer),
            ("aud", json!("others"), Refusal::Audience),
            ("aud", json!([]), Refusal::Audience),
            ("sub", json!(""), Refusal::MissingClaim),
            ("sub", json!(7), Refusal::MissingClaim),
            ("sub", json!("a\nb"), Refusal::Subject),
            ("sub", json!("a\u{0}b"), Refusal::Subject),
            ("sub", json!("a".repeat(129)), Refusal::Subject),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(judge(&claims), Err(why), "{claims}");
        }
        for (name, why) in [
            ("exp", Refusal::MissingClaim),
            ("iss", Refusal::Issuer),
            ("aud", Refusal::Audience),
            ("sub", Refusal::MissingClaim),
        ] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(judge(&claims), Err(why), "{name}");
        }
        assert_eq!(rules().judge(b"[]", NOW), Err(Refusal::Malformed));
    }

    #[test]
    fn a_customers_subject_is_a_customer_id_and_that_of_others_may_be_longer() {
        for (role, length, good) in [
            ("customer", 128, true),
            ("customer", 129, false),
            ("operator", 255, true),
            ("operator", 256, false),
            ("service", 255, true),
            ("nothing that is known", 255, true),
        ] {
            let mut claims = good_of(role);
            // Characters, not bytes.
            claims["sub"] = json!("ä".repeat(length));
            let said = judge(&claims).map(|said| said.subject.chars().count());
            assert_eq!(said, if good { Ok(length) } else { Err(Refusal::Subject) }, "{role} {length}");
        }
    }

    #[test]
    fn clocks_may_be_apart_by_the_leeway_and_no_more() {
        for (name, value, wanted) in [
            ("exp", 991, Ok(())),
            ("exp", 990, Err(Refusal::Expired)),
            ("nbf", 1_010, Ok(())),
            ("nbf", 1_011, Err(Refusal::NotYetValid)),
        ] {
            let mut claims = good();
            claims[name] = json!(value);
            assert_eq!(judge(&claims).map(|_| ()), wanted, "{name} {value}");
        }
    }

    #[test]
    fn the_role_is_one_that_is_known_and_the_first_of_several() {
        for (claims, role) in [
            (json!({ "realm_access": { "roles": "operator" } }), Some(Role::Operator)),
            (json!({ "realm_access": { "roles": ["customer", "operator"] } }), Some(Role::Operator)),
            (
                json!({ "realm_access.roles": ["service"], "realm_access": { "roles": [] } }),
                Some(Role::Service),
            ),
            (json!({ "realm_access": { "roles": ["Operator", "admin", 1] } }), None),
            (json!({ "realm_access": "operator" }), None),
            (json!({ "role": "operator" }), None),
        ] {
            let mut all = good();
            all.as_object_mut().unwrap().remove("realm_access");
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            assert_eq!(judge(&all).unwrap().role, role, "{claims}");
        }
    }
}
