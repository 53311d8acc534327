//! Keys that change: in a file, and behind a URL that may be away.

use std::{fs, time::Duration};

use auth::{Algorithm, Authority, Refusal};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    authority::{Following, authority, eventually},
    issuer::Issuer,
    signer::{KeyFile, Signer, set},
};

/// The shortest time between two looks, and few seconds until keys are too old.
const BRISK: [&str; 6] =
    ["--auth-jwks-pace-ms", "100", "--auth-jwks-interval-s", "1", "--auth-jwks-max-age-s", "4"];

fn signer(id: &str) -> Signer {
    Signer::new(id, Algorithm::EdDsa)
}

/// Waits until a token of this signer is answered so: with a refusal, or not.
async fn until(authority: &Authority, signer: &Signer, wanted: Option<Refusal>) {
    let token = signer.token();
    let answered = async {
        while authority.authenticate(&token).await.err() != wanted {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), answered).await.unwrap();
}

#[tokio::test]
async fn a_key_that_appears_in_the_file_is_good_at_once_and_one_that_goes_is_not_for_long() {
    let (one, two) = (signer("one"), signer("two"));
    let file = KeyFile::new(&set(&[&one]));
    let authority = Following::of(file.path(), &[]);
    assert!(authority.authenticate(&one.token()).await.is_ok());
    assert_eq!(authority.authenticate(&two.token()).await, Err(Refusal::UnknownKey));
    file.write(&set(&[&one, &two]));
    assert!(authority.authenticate(&two.token()).await.is_ok());
    assert!(authority.authenticate(&one.token()).await.is_ok());
    // A token that is remembered goes with its key.
    file.write(&set(&[&two]));
    until(&authority, &one, Some(Refusal::UnknownKey)).await;
    // Nonsense changes nothing.
    file.write("nonsense");
    assert_eq!(authority.authenticate(&one.token()).await, Err(Refusal::UnknownKey));
    assert!(authority.authenticate(&two.token()).await.is_ok());
    authority.until_told(Ok(())).await;
    authority.end().await;
}

#[tokio::test]
async fn a_file_that_makes_no_sense_at_the_start_is_an_error() {
    assert!(authority("/nowhere/keys.json", &[]).is_err());
    assert!(authority(KeyFile::new("nonsense").path(), &[]).is_err());
    assert!(authority(KeyFile::new(&set(&[])).path(), &[]).is_err());
}

#[tokio::test]
async fn keys_behind_a_url_are_fetched_for_a_key_that_is_unknown_and_not_too_often() {
    let (one, two, three) = (signer("one"), signer("two"), signer("three"));
    let issuer = Issuer::serve(&set(&[&one])).await;
    // The pace is longer than the test.
    let authority = Following::of(&issuer.url, &["--auth-jwks-pace-ms", "3600000"]);
    assert!(authority.authenticate(&one.token()).await.is_ok());
    assert_eq!(issuer.asked(), 1);
    issuer.change(&set(&[&one, &two]));
    for token in [three.token(), three.token_without_id()] {
        for _ in 0..50 {
            assert_eq!(authority.authenticate(&token).await, Err(Refusal::UnknownKey));
        }
    }
    assert_eq!(issuer.asked(), 1);
}

/// Who asks and does not wait changes nothing: neither do others ask sooner, nor is what they asked for given up.
#[tokio::test]
async fn callers_who_go_before_the_keys_come_have_them_fetched_no_more_often() {
    let (one, two) = (signer("one"), signer("two"));
    let issuer = Issuer::serve(&set(&[&one])).await;
    let authority = Following::of(&issuer.url, &["--auth-jwks-pace-ms", "100"]);
    authority.until_told(Ok(())).await;
    issuer.silent(true);
    let hasty = async || timeout(Duration::from_millis(1), authority.authenticate(&two.token())).await.ok();
    while issuer.asked() == 1 {
        // Not due yet, or awaited in vain.
        assert_ne!(hasty().await.map(|known| known.is_ok()), Some(true));
    }
    for _ in 0..50 {
        assert_eq!(hasty().await, None);
    }
    assert_eq!(issuer.asked(), 2);
    issuer.change(&set(&[&one, &two]));
    issuer.silent(false);
    assert!(authority.authenticate(&two.token()).await.is_ok());
}

#[tokio::test]
async fn of_very_many_who_wait_for_keys_some_are_refused_at_once_and_the_others_served() {
    let one = signer("one");
    let issuer = Issuer::serve(&set(&[&one])).await;
    issuer.silent(true);
    let authority = Following::of(&issuer.url, &["--auth-jwks-pace-ms", "100"]);
    let mut calls = JoinSet::new();
    // There is room for 512.
    for _ in 0..600 {
        let (authority, token) = (Authority::clone(&authority), one.token());
        calls.spawn(async move { authority.authenticate(&token).await });
    }
    for _ in 512..600 {
        assert_eq!(calls.join_next().await.unwrap().unwrap(), Err(Refusal::Crowded));
    }
    issuer.silent(false);
    while let Some(served) = calls.join_next().await {
        assert!(served.unwrap().is_ok());
    }
    // There is room again: somebody waits for the next look.
    let unknown = signer("two").token();
    while issuer.asked() == 1 {
        assert_eq!(authority.authenticate(&unknown).await, Err(Refusal::UnknownKey));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn keys_stay_while_their_source_is_away_and_are_fetched_again() {
    let (one, two) = (signer("one"), signer("two"));
    let issuer = Issuer::serve("").await;
    let authority = Following::of(&issuer.url, &["--auth-jwks-pace-ms", "100"]);
    assert_eq!(authority.authenticate(&one.token()).await, Err(Refusal::NoKeys));
    authority.until_told(Err("503")).await;
    issuer.change(&set(&[&one]));
    until(&authority, &one, None).await;
    authority.until_told(Ok(())).await;
    issuer.change("");
    // Until it has asked once more, and got nothing.
    let (asked, token) = (issuer.asked(), two.token());
    let again = async {
        while issuer.asked() == asked {
            assert_eq!(authority.authenticate(&token).await, Err(Refusal::UnknownKey));
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), again).await.unwrap();
    assert!(authority.authenticate(&one.token()).await.is_ok());
    authority.until_told(Ok(())).await;
    issuer.change(&set(&[&one, &two]));
    until(&authority, &two, None).await;
}

#[tokio::test]
async fn an_issuer_without_keys_is_believed_that_it_has_none() {
    let one = signer("one");
    let issuer = Issuer::serve(&set(&[&one])).await;
    let authority = Following::of(&issuer.url, &BRISK);
    until(&authority, &one, None).await;
    let mut useless = one.jwk();
    useless["use"] = "enc".into();
    for none in [set(&[]), serde_json::json!({ "keys": [useless] }).to_string()] {
        issuer.change(&none);
        // A token that is remembered too.
        until(&authority, &one, Some(Refusal::NoKeys)).await;
        authority.until_told(Err("no key that can check a signature")).await;
        issuer.change(&set(&[&one]));
        until(&authority, &one, None).await;
        authority.until_told(Ok(())).await;
    }
}

#[tokio::test]
async fn keys_that_nobody_vouches_for_any_more_are_not_believed_for_ever() {
    let one = signer("one");
    let issuer = Issuer::serve(&set(&[&one])).await;
    let authority = Following::of(&issuer.url, &BRISK);
    until(&authority, &one, None).await;
    issuer.change("");
    until(&authority, &one, Some(Refusal::NoKeys)).await;
    authority.until_told(Err("503")).await;
    // The same ones as before.
    issuer.change(&set(&[&one]));
    until(&authority, &one, None).await;
}

#[tokio::test]
async fn keys_in_a_file_that_is_gone_are_not_believed_for_ever() {
    let one = signer("one");
    let file = KeyFile::new(&set(&[&one]));
    let authority = Following::of(file.path(), &BRISK);
    authority.until_told(Ok(())).await;
    fs::remove_file(file.path()).unwrap();
    until(&authority, &one, Some(Refusal::NoKeys)).await;
    authority.until_told(Err("cannot be had")).await;
    file.write(&set(&[&one]));
    until(&authority, &one, None).await;
    // Looked at again and again, and the same: it is believed.
    let seen = authority.told.lock().unwrap().take();
    assert_eq!(seen, Some(Ok(())));
    eventually(|| authority.told.lock().unwrap().is_some()).await;
    assert!(authority.authenticate(&one.token()).await.is_ok());
}
