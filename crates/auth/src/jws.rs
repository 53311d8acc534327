//! A token as it is signed: the compact form of JWS (RFC 7515), with the precautions of RFC 8725.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{
    Algorithm, Refusal,
    jwk::{Key, Keys},
};

/// The most keys that a signature is tried with. A token that names its key has one; others have those for its algorithm, of which
/// there are two while they are exchanged.
const MAX_TRIED: usize = 4;

/// A token in its parts. Nothing of it is known to be true.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// How it says that it is signed.
    pub(crate) algorithm: Algorithm,
    key_id: Option<String>,
    payload: Vec<u8>,
    signed: &'a [u8],
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    pub(crate) fn of(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(Refusal::Algorithm)?;
        Ok(Self {
            algorithm,
            key_id: header.kid,
            payload: decode(payload)?,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// The payload, if one of these keys signed it.
    pub(crate) fn verified(&self, keys: &Keys) -> Result<&[u8], Refusal> {
        let fitting: Vec<&Key> =
            keys.of(self.key_id.as_deref(), self.algorithm).take(MAX_TRIED + 1).collect();
        if fitting.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        if fitting.len() > MAX_TRIED {
            return Err(Refusal::ManyKeys);
        }
        if fitting.iter().any(|key| key.verifies(self.algorithm, self.signed, &self.signature)) {
            return Ok(&self.payload);
        }
        // Without an id it may be of a key that is not known yet.
        Err(if self.key_id.is_some() { Refusal::Signature } else { Refusal::UnknownKey })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(token: &str, key: &str) -> Result<Vec<u8>, Refusal> {
        let keys = Keys::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
        Parts::of(token)?.verified(&keys).map(<[u8]>::to_vec)
    }

    /// RFC 7515, appendix A.3.
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    /// RFC 7515, appendix A.2.
    const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    /// RFC 8037, appendix A.4.
    const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn the_examples_of_the_standards_are_verified() {
        assert_eq!(verified(EDDSA, ED25519).unwrap(), b"Example of Ed25519 signing");
        for (token, key) in [(ES256, P256), (RS256, RSA)] {
            assert!(verified(token, key).unwrap().starts_with(b"{\"iss\":\"joe\""));
        }
    }

    #[test]
    fn a_change_anywhere_is_found() {
        let other = |part: &str| {
            let (start, end) = (&part[..5], &part[6..]);
            let letter = if part[5..].starts_with('A') { 'B' } else { 'A' };
            format!("{start}{letter}{end}")
        };
        for (token, key) in [(ES256, P256), (RS256, RSA), (EDDSA, ED25519)] {
            let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
            for changed in [
                format!("{header}.{}.{signature}", other(payload)),
                format!("{header}.{payload}.{}", other(signature)),
                format!("{header}.{payload}."),
            ] {
                assert_eq!(verified(&changed, key), Err(Refusal::UnknownKey), "{changed}");
            }
        }
        assert_eq!(verified(EDDSA, P256), Err(Refusal::UnknownKey));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let encode = |header: &str| BASE64_URL_SAFE_NO_PAD.encode(header);
        let with = |header: &str| format!("{}.e30.AAAA", encode(header));
        for (token, why) in [
            (String::new(), Refusal::Malformed),
            ("a.b".to_owned(), Refusal::Malformed),
            ("a.b.c.d".to_owned(), Refusal::Malformed),
            (with("{}"), Refusal::Malformed),
            (with(r#"{"alg":"RS256","alg":"none"}"#), Refusal::Malformed),
            (with(r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#), Refusal::Malformed),
            (with(r#"{"alg":"none"}"#), Refusal::Algorithm),
            (with(r#"{"alg":"None"}"#), Refusal::Algorithm),
            (with(r#"{"alg":"HS256"}"#), Refusal::Algorithm),
            (format!("{}.e30.", encode(r#"{"alg":"none"}"#)), Refusal::Algorithm),
        ] {
            assert_eq!(Parts::of(&token).map(|_| ()), Err(why), "{token}");
        }
    }
}
