//! A stack where everybody speaks TLS and knows the others by their certificates.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use proto::{
    catalog::GetProductRequest,
    reservation::{BookingState, booking_service_client::BookingServiceClient},
};
use stack::{Options, Pki, Service, ServiceKind, Stack, port::loopback};
use system_tests::{
    Outcome, OwnStack, PATIENCE, Stock, Traffic, World, eventually, hasty, own, secured_channel, units, when,
};
use tokio::task::block_in_place;
use tonic::Code;

async fn secured() -> OwnStack {
    own(Options { tls: true, ..hasty() }).await
}

fn pki(stack: &Stack) -> &Pki {
    stack.pki().expect("the stack has certificates")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_lives_and_runs_out_where_everybody_speaks_tls() -> Outcome {
    let stack = secured().await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_millis(900)).await;
    let paid = world.hold(&[units(&meal, 2)]).await?.booking_id;
    world.pay(&paid).await?;
    let lost = world.hold(&[units(&meal, 3)]).await?.booking_id;
    world.await_state(&lost, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    world.refund(&paid).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_settles().await;

    block_in_place(|| {
        for service in stack.services() {
            let asked = healthcheck(&stack, service);
            assert!(asked.status.success(), "{}: {asked:?}", service.name());
            let metrics = service.get("/metrics").expect("it serves its metrics").body;
            for what in ["expiry", "start"] {
                let told =
                    format!("holdfast_tls_certificate_{what}_timestamp_seconds{{certificate=\"server\"}}");
                let says = |line: &str| line.starts_with(&told) && !line.ends_with(" 0");
                assert!(metrics.lines().any(says), "{metrics}");
            }
        }
        let sessions = "select count(*) filter (where s.ssl and s.client_dn is not null), count(*)
                        from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name like 'holdfast-%'";
        let said = stack.postgres().query("postgres", sessions).expect("the superuser may look");
        let (secured, all) = said.split_once('|').expect("two columns");
        assert!(secured == all && all != "0", "{secured} of {all} sessions are secured");
        let said = stack.rabbitmq().control("rabbitmqctl", &["-q", "list_connections", "ssl"]);
        let said = said.expect("the node answers");
        assert!(said.contains("true") && !said.contains("false"), "{said}");
    });
    stack.assert_sound();
    Ok(())
}

/// The program's own question to the service that runs.
fn healthcheck(stack: &Stack, service: &Service) -> std::process::Output {
    let own = pki(stack).files(service.kind().name());
    Command::new(stack::binary(service.kind().name()).expect("it was built"))
        .arg("healthcheck")
        .env("HOLDFAST_HTTP_LISTEN", service.http_url().trim_start_matches("https://"))
        .env("HOLDFAST_TLS_CERT_FILE", own.cert)
        .env("HOLDFAST_TLS_KEY_FILE", own.key)
        .output()
        .expect("it runs")
}

/// What a port answers to words in plain text, within a moment.
fn answer(port: u16, words: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(loopback(port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a limit can be set");
    stream.write_all(words).expect("it takes words");
    let mut bytes = Vec::new();
    // Reset or closed: it comes to the same.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_is_refused_everywhere() {
    let stack = secured().await;
    block_in_place(|| {
        for service in stack.services() {
            let http = service.http_url();
            let port = http.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("it has a port");
            let said = answer(port, b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            assert!(!said.starts_with(b"HTTP"), "{} answers {said:?}", service.name());
        }
        for service in stack.services().iter().filter(|service| service.kind() != ServiceKind::Expirer) {
            let said = answer(service.grpc_port(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
            // A frame of SETTINGS has type 4; an alert of TLS begins with 21.
            assert!(said.first().is_none_or(|byte| *byte == 21), "{} answers {said:?}", service.name());
        }
        let said = answer(stack.rabbitmq().port(), b"AMQP\0\0\x09\x01");
        assert!(said.first() != Some(&1), "RabbitMQ answers {said:?}");
        let url = format!("postgres://catalog@127.0.0.1:{}/catalog?sslmode=disable", stack.postgres().port());
        let psql = Command::new(stack::postgres_program("psql").expect("it is installed"))
            .args([&url, "-c", "select 1"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&psql.stderr).into_owned();
        assert!(!psql.status.success() && said.contains("no encryption"), "{said}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_exchanged_under_load_and_no_call_fails() -> Outcome {
    let stack = secured().await;
    let world = World::of(&stack);
    let traffic = Traffic::start_over(std::slice::from_ref(&world), 8).await;
    for round in ["first", "second"] {
        traffic.await_progress().await;
        for service in stack.services() {
            let kind = service.kind().name();
            let name = format!("{round}.{kind}");
            block_in_place(|| pki(&stack).issue(kind, &[("DNS", &name)])).expect("it is issued");
        }
        for service in stack.services() {
            let name = format!("{round}.{}", service.kind().name());
            eventually("new connections get the new certificate", PATIENCE, async || {
                let shown = block_in_place(|| shown_by(&stack, service));
                when(String::from_utf8_lossy(&shown).contains(&name), ())
            })
            .await;
        }
        // What was made before goes on over its old connections: these have none yet.
        let replica = block_in_place(|| stack.add(ServiceKind::Reservation, &[])).expect("it starts");
        let (fresh, mut other) = (World::of(&stack), World::of(&stack));
        let config = block_in_place(|| pki(&stack).client(None)).expect("the authority is there");
        other.bookings = BookingServiceClient::new(secured_channel(&config, &replica.url()));
        for fresh in [fresh, other] {
            let meal = fresh.product(1, Duration::from_mins(1)).await;
            let held = fresh.hold(&[units(&meal, 1)]).await?;
            fresh.cancel(&held.booking_id).await?;
        }
        block_in_place(|| replica.stop());
    }
    traffic.await_progress().await;
    assert_eq!(traffic.finish(&world).await, 0, "calls had to be made again");
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

/// The certificate that a service shows on its HTTP port, in DER: the names stand in it as they are.
fn shown_by(stack: &Stack, service: &Service) -> Vec<u8> {
    let config = pki(stack).client(None).expect("the authority is there");
    let http = service.http_url();
    let address: std::net::SocketAddr =
        http.trim_start_matches("https://").parse().expect("the stack's URLs are addresses");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut session =
        rustls::ClientConnection::new(config, address.ip().into()).expect("a session can be begun");
    session.complete_io(&mut stream).expect("the handshake succeeds");
    session.peer_certificates().expect("it shows one")[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_show_no_certificate_or_a_good_one_but_not_a_strangers() -> Outcome {
    let stack = secured().await;
    let world = World::of(&stack); // without a certificate
    let meal = world.product(10, Duration::from_mins(1)).await;
    let stranger = Pki::new(&stack.home().dir().join("stranger")).expect("an authority can be made");
    let of_strangers = stranger.issue("reservation", &[]).expect("it is issued");
    let ended = pki(&stack).issue("ended", &[("ENDS", "-60")]).expect("it is issued");
    let good = pki(&stack).files("reservation");
    for (identity, wanted) in
        [(&good, None), (&of_strangers, Some(Code::Unavailable)), (&ended, Some(Code::Unavailable))]
    {
        let config = pki(&stack).client(Some(identity)).expect("the files are there");
        let channel = secured_channel(&config, &stack.catalog_url());
        let mut client = proto::catalog::catalog_service_client::CatalogServiceClient::new(channel);
        let request = GetProductRequest { product_id: meal.product_id.clone() };
        let refused = client.get_product(request).await.err();
        // tonic says UNKNOWN or CANCELLED of a connection that is ended with an alert after its own side of the handshake.
        assert_eq!(refused.is_some(), wanted.is_some(), "{}: {refused:?}", identity.cert.display());
        assert!(refused.is_none_or(|status| status.code() != Code::Unauthenticated));
    }
    Ok(())
}

/// Expiry stops while the catalog's certificate is no good, and nothing is lost by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_refuse_a_catalog_whose_certificate_has_ended_until_it_has_a_new_one() -> Outcome {
    let stack = secured().await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_millis(900)).await;
    block_in_place(|| {
        pki(&stack).issue("catalog", &[("ENDS", "-60")]).expect("it is issued");
        stack.catalog().kill();
        stack.catalog().spawn().expect("it starts");
    });
    eventually("it is ready, and can be asked for that", PATIENCE, async || {
        let asked = block_in_place(|| healthcheck(&stack, stack.catalog()));
        when(asked.status.success(), asked)
    })
    .await;
    for _ in 0..3 {
        let refused = world.hold(&[units(&meal, 1)]).await.expect_err("reservation connects to it in vain");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(!refused.message().contains("certificate"), "the cause is for the log: {refused:?}");
    }
    let log = fs::read_to_string(stack.reservation().log().expect("it has a log"))?;
    let says = |line: &str| line.contains("cannot be reached") && line.contains("certificate");
    assert!(log.lines().any(says), "the log says why");

    block_in_place(|| pki(&stack).issue("catalog", &[])).expect("it is issued");
    let booking =
        eventually("they trust the new one", PATIENCE, async || world.hold(&[units(&meal, 1)]).await).await;
    world.await_state(&booking.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}
