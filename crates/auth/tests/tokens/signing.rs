//! Algorithms, and what pretends to be one.

use auth::{Algorithm, Refusal, Role};

use crate::signer::{KeyFile, Signer, authority, claims, set};

/// All that may be allowed.
const ALL: &str = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA";

#[tokio::test]
async fn tokens_of_every_algorithm_are_verified() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new("one", algorithm);
        let file = KeyFile::new(&set(&[&signer]));
        let authority = authority(file.path(), &["--auth-algorithms", ALL]).unwrap();
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
    let authority = authority(file.path(), &["--auth-algorithms", "ES256,EdDSA"]).unwrap();
    assert_eq!(authority.authenticate(&signer.token()).await, Err(Refusal::Algorithm));
}

#[tokio::test]
async fn a_key_signs_its_own_algorithm_and_no_other() {
    let (rsa, ec) = (Signer::new("rsa", Algorithm::Rs256), Signer::new("ec", Algorithm::Es256));
    let file = KeyFile::new(&set(&[&rsa, &ec]));
    let authority = authority(file.path(), &[]).unwrap();
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
async fn a_token_without_a_key_id_is_tried_with_every_key_that_fits() {
    let (one, two) = (Signer::new("one", Algorithm::Es256), Signer::new("two", Algorithm::Es256));
    let file = KeyFile::new(&set(&[&one, &two]));
    let authority = authority(file.path(), &[]).unwrap();
    // The id of a key that is not there, and none at all.
    let stranger = Signer::new("three", Algorithm::Es256);
    assert_eq!(authority.authenticate(&stranger.token()).await, Err(Refusal::UnknownKey));
    // Signed by the second, under the name of the first.
    let forged = Signer::new("one", Algorithm::Es256);
    assert_eq!(authority.authenticate(&forged.token()).await, Err(Refusal::Signature));
    assert!(authority.authenticate(&two.token()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_before_anything_of_it_is_read() {
    let signer = Signer::new("one", Algorithm::EdDsa);
    let file = KeyFile::new(&set(&[&signer]));
    let authority = authority(file.path(), &[]).unwrap();
    let mut long = claims();
    long["more"] = "x".repeat(8 << 10).into();
    assert_eq!(authority.authenticate(&signer.sign("EdDSA", &long)).await, Err(Refusal::TooLong));
}

#[tokio::test]
async fn a_remembered_token_expires_like_any_other() {
    let signer = Signer::new("one", Algorithm::EdDsa);
    let file = KeyFile::new(&set(&[&signer]));
    let authority = authority(file.path(), &["--auth-leeway-s", "0"]).unwrap();
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
