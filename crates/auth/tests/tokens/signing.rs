//! Algorithms, and what pretends to be one.

use auth::{Algorithm, Refusal, Role};

use serde_json::json;

use crate::{
    authority::Following,
    signer::{KeyFile, Signer, claims, set},
};

/// All that may be allowed.
const ALL: &str = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA";

#[tokio::test]
async fn tokens_of_every_algorithm_are_verified() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new("one", algorithm);
        let file = KeyFile::new(&set(&[&signer]));
        let authority = Following::of(file.path(), &["--auth-algorithms", ALL]);
        // Twice: the second time it is remembered.
        for _ in 0..2 {
            let known = authority.authenticate(&signer.token()).await.unwrap();
            assert_eq!((&*known.subject, known.role), ("ada", Some(Role::Operator)), "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_on_the_list_is_refused_though_the_signature_is_right() {
    let signer = Signer::new("one", Algorithm::Rs256);
    let file = KeyFile::new(&set(&[&signer]));
    let authority = Following::of(file.path(), &["--auth-algorithms", "ES256,EdDSA"]);
    assert_eq!(authority.authenticate(&signer.token()).await, Err(Refusal::Algorithm));
}

#[tokio::test]
async fn a_key_signs_its_own_algorithm_and_no_other() {
    let (rsa, ec) = (Signer::new("rsa", Algorithm::Rs256), Signer::new("ec", Algorithm::Es256));
    let file = KeyFile::new(&set(&[&rsa, &ec]));
    let authority = Following::of(file.path(), &[]);
    for (signer, algorithm, why) in [
        (&rsa, "PS256", Refusal::Signature),
        (&rsa, "ES256", Refusal::UnknownKey),
        (&rsa, "none", Refusal::Algorithm),
        (&rsa, "HS256", Refusal::Algorithm),
        (&ec, "RS256", Refusal::UnknownKey),
        (&ec, "ES384", Refusal::UnknownKey),
    ] {
        let token = signer.sign(algorithm, &claims());
        assert_eq!(authority.authenticate(&token).await, Err(why), "{algorithm}");
    }
}

#[tokio::test]
async fn a_token_that_names_a_key_is_tried_with_that_one_alone() {
    let (one, two) = (Signer::new("one", Algorithm::Es256), Signer::new("two", Algorithm::Es256));
    let file = KeyFile::new(&set(&[&one, &two]));
    let authority = Following::of(file.path(), &[]);
    let stranger = Signer::new("three", Algorithm::Es256);
    assert_eq!(authority.authenticate(&stranger.token()).await, Err(Refusal::UnknownKey));
    // Signed by a stranger, under the name of the first.
    let forged = Signer::new("one", Algorithm::Es256);
    assert_eq!(authority.authenticate(&forged.token()).await, Err(Refusal::Signature));
    assert!(authority.authenticate(&two.token()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_names_no_key_is_tried_with_the_few_that_fit() {
    let (one, two) = (Signer::new("one", Algorithm::Es256), Signer::new("two", Algorithm::Es256));
    let (rsa, ed) = (Signer::new("rsa", Algorithm::Rs256), Signer::new("ed", Algorithm::EdDsa));
    let file = KeyFile::new(&set(&[&one, &rsa, &two, &ed]));
    let authority = Following::of(file.path(), &[]);
    for signer in [&one, &two, &rsa, &ed] {
        let known = authority.authenticate(&signer.token_without_id()).await;
        assert_eq!(known.map(|known| known.subject.to_string()), Ok("ada".to_owned()));
    }
    let stranger = Signer::new("three", Algorithm::Es256);
    assert_eq!(authority.authenticate(&stranger.token_without_id()).await, Err(Refusal::UnknownKey));
    // A key without a name is one of those.
    let mut nameless = one.jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let file = KeyFile::new(&json!({ "keys": [nameless] }).to_string());
    let authority = Following::of(file.path(), &[]);
    assert!(authority.authenticate(&one.token_without_id()).await.is_ok());
    assert_eq!(authority.authenticate(&one.token()).await, Err(Refusal::UnknownKey));
}

/// Whoever sends tokens that name no key has no more signatures checked than of a few keys.
#[tokio::test]
async fn a_token_that_names_none_of_many_keys_is_refused_unseen() {
    let signers: Vec<_> = (0..5).map(|n| Signer::new(&n.to_string(), Algorithm::EdDsa)).collect();
    let all: Vec<&Signer> = signers.iter().collect();
    let file = KeyFile::new(&set(&all));
    let authority = Following::of(file.path(), &[]);
    for signer in &signers {
        assert_eq!(authority.authenticate(&signer.token_without_id()).await, Err(Refusal::ManyKeys));
        assert!(authority.authenticate(&signer.token()).await.is_ok());
    }
    // So many keys of one name are no better.
    let mut keys: Vec<_> = signers.iter().map(Signer::jwk).collect();
    for key in &mut keys {
        key["kid"] = json!("0");
    }
    let file = KeyFile::new(&json!({ "keys": keys }).to_string());
    let authority = Following::of(file.path(), &[]);
    assert_eq!(authority.authenticate(&signers[0].token()).await, Err(Refusal::ManyKeys));
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_before_anything_of_it_is_read() {
    let signer = Signer::new("one", Algorithm::EdDsa);
    let file = KeyFile::new(&set(&[&signer]));
    let authority = Following::of(file.path(), &[]);
    let mut long = claims();
    long["more"] = "x".repeat(8 << 10).into();
    assert_eq!(authority.authenticate(&signer.sign("EdDSA", &long)).await, Err(Refusal::TooLong));
}

#[tokio::test]
async fn a_remembered_token_expires_like_any_other() {
    let signer = Signer::new("one", Algorithm::EdDsa);
    let file = KeyFile::new(&set(&[&signer]));
    let authority = Following::of(file.path(), &["--auth-leeway-s", "0"]);
    let mut short = claims();
    short["exp"] = (short["exp"].as_u64().unwrap() - 3_600 + 2).into();
    let token = signer.sign("EdDSA", &short);
    assert!(authority.authenticate(&token).await.is_ok());
    // Until its time is over, and then for good.
    let over = async {
        while authority.authenticate(&token).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), over).await.unwrap();
    assert_eq!(authority.authenticate(&token).await, Err(Refusal::Expired));
}
