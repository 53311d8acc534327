//! Clients who break the rules of HTTP, or keep them to the letter and do nothing: they keep nobody else out. Bounded, and over
//! loopback.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use h2::client::{self, SendRequest};
use http::{Request, Version};
use prost::bytes::Bytes;
use proto::catalog::{ListProductsRequest, Product};
use socket2::SockRef;
use stack::Service;
use system_tests::{
    Outcome, OwnStack, PATIENCE, Rest, World, eventually, fresh_id, hasty, memory_mib, own, sample_product,
    units,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Status;

/// As in `overload.rs`.
const MAX_MEMORY_MIB: u64 = 256;
const MINUTE: Duration = Duration::from_mins(1);
/// In bytes: what every host takes (RFC 9293, section 3.7.1).
const SMALL_SEGMENT: u32 = 536;
const LIST_PRODUCTS: &str = "/holdfast.catalog.v1.CatalogService/ListProducts";

fn grpc(service: &Service) -> SocketAddr {
    service.url().replace("http://", "").parse().expect("an address")
}

/// A connection from another address of this machine.
async fn from_elsewhere(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.9:0".parse().expect("an address")).expect("all of 127/8 is this machine");
    socket.connect(to).await.expect("it listens")
}

/// A connection that speaks HTTP/2, with this window for what it is sent.
async fn greet(stream: TcpStream, window: u32) -> SendRequest<Bytes> {
    let (sender, connection) =
        client::Builder::new().initial_window_size(window).handshake(stream).await.expect("it greets");
    tokio::spawn(connection);
    sender
}

/// A call without its message.
fn call(path: &str) -> Request<()> {
    let request = Request::post(format!("http://holdfast{path}")).version(Version::HTTP_2);
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.body(()).expect("a request")
}

/// A message in its frame.
fn frame(message: &impl prost::Message) -> Bytes {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).expect("it is short").to_be_bytes());
    frame.extend(message.encode_to_vec());
    frame.into()
}

/// A stack of few places, and what ordinary customers do there: each over a connection of its own.
struct Shop {
    stack: OwnStack,
    meal: Product,
}

impl Shop {
    async fn open(max_calls: &str) -> Self {
        let stack = own(hasty().env("HOLDFAST_MAX_CALLS", max_calls)).await;
        let meal = World::of(&stack).product(1_000_000, MINUTE).await;
        Self { stack, meal }
    }

    /// A new customer holds something and pays for it, at the first try.
    async fn serve_a_customer(&self) -> Result<(), Status> {
        let world = World::of(&self.stack);
        let booking = world.hold(&[units(&self.meal, 1)]).await?;
        world.pay(&booking.booking_id).await?;
        world.get_product(&self.meal.product_id).await?;
        Ok(())
    }

    /// The same, at the latest after a while.
    async fn serve_a_customer_soon(&self) {
        eventually("a customer is served", PATIENCE, async || self.serve_a_customer().await).await;
    }

    fn end(&self) {
        for service in self.stack.services() {
            let taken = memory_mib(service);
            assert!(taken < MAX_MEMORY_MIB, "{} has taken {taken} MiB", service.name());
        }
        assert!(self.stack.services().iter().all(Service::is_running));
        self.stack.assert_sound();
    }
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn raw(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// A call that is reset in the same breath.
fn call_and_reset(stream: u32) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("it is short")], text.as_bytes()].concat();
    // POST, http, :path, :authority, content-type and te, by HPACK (RFC 7541, section 6).
    let headers = [
        vec![0x83, 0x86, 0x04],
        text(LIST_PRODUCTS),
        vec![0x01],
        text("a"),
        vec![0x0f, 0x10],
        text("application/grpc"),
        vec![0x00],
        text("te"),
        text("trailers"),
    ];
    let cancel = 8_u32.to_be_bytes();
    [raw(1, 4, stream, &headers.concat()), raw(3, 0, stream, &cancel)].concat()
}

/// Begins calls and resets them at once, until it has done so many and two customers were served, over as many connections as that
/// takes.
async fn reset(to: SocketAddr, count: u32, served: Arc<AtomicUsize>) -> u32 {
    const AT_ONCE: u32 = 500;
    let goes_on = |done: u32| done < count || served.load(Ordering::Relaxed) < 2;
    let (mut done, mut connections) = (0, 0);
    while goes_on(done) && (connections < 1_000 || served.load(Ordering::Relaxed) < 2) {
        connections += 1;
        let (mut answers, mut stream) = from_elsewhere(to).await.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
        let greeting = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &raw(4, 0, 0, &[])].concat();
        let mut sent = stream.write_all(&greeting).await;
        let mut next = 1;
        while sent.is_ok() && goes_on(done) {
            let calls: Vec<u8> = (0..AT_ONCE).flat_map(|n| call_and_reset(next + 2 * n)).collect();
            sent = stream.write_all(&calls).await;
            (next, done) = (next + 2 * AT_ONCE, done + AT_ONCE);
        }
    }
    connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_stops_no_one_else() -> Outcome {
    let shop = Shop::open("256").await;
    let to = grpc(shop.stack.catalog());
    let (mut floods, served) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..4 {
        floods.spawn(reset(to, 20_000, Arc::clone(&served)));
    }
    // Places may be taken for the moment: customers try again, and are served while it lasts.
    while !floods.is_empty() {
        shop.serve_a_customer_soon().await;
        served.fetch_add(1, Ordering::Relaxed);
        while let Some(flood) = floods.try_join_next() {
            let connections = flood?;
            assert!(connections > 1, "nobody told it to stop: {connections}");
        }
    }
    shop.serve_a_customer().await?;
    shop.end();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_never_come_to_their_message_take_nobodys_place() -> Outcome {
    let shop = Shop::open("8").await;
    let mut held = Vec::new();
    for service in [shop.stack.catalog(), shop.stack.reservation()] {
        let mut sender = greet(from_elsewhere(grpc(service)).await, 65_535).await;
        for _ in 0..200 {
            sender = sender.ready().await?;
            let (response, mut body) = sender.send_request(call(LIST_PRODUCTS), false)?;
            // A frame that is begun and not ended.
            body.send_data(Bytes::from_static(&[0, 0, 0, 1]), false)?;
            held.push((response, body));
        }
    }
    for _ in 0..20 {
        shop.serve_a_customer().await?;
    }
    let (first, _body) = held.swap_remove(0);
    let late = timeout(PATIENCE, first).await??;
    assert_eq!(late.headers()["grpc-status"], "4", "{late:?}");
    shop.end();
    Ok(())
}

/// More connections than there are places, from one address: silent ones, ones that begin to greet, and ones that greet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_do_nothing_keep_nobody_out() -> Outcome {
    let shop = Shop::open("256").await;
    let to = grpc(shop.stack.catalog());
    let (mut silent, mut greeted) = (Vec::new(), Vec::new());
    for n in 0..600 {
        let mut stream = from_elsewhere(to).await;
        match n % 3 {
            0 => silent.push(stream),
            1 => {
                stream.write_all(b"PRI * HTTP/2.0\r\n").await?;
                silent.push(stream);
            }
            _ => greeted.push(greet(stream, 65_535).await),
        }
    }
    shop.serve_a_customer_soon().await;
    // Nobody waits for a greeting for long.
    for mut stream in silent {
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await?;
    }
    shop.serve_a_customer().await?;
    shop.end();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_and_bodies_that_drip_keep_nobody_out() -> Outcome {
    let shop = Shop::open("8").await;
    let service = shop.stack.reservation();
    let to: SocketAddr = service.http_url().replace("http://", "").parse()?;
    let mut drips = JoinSet::new();
    for n in 0..1_200 {
        let mut stream = from_elsewhere(to).await;
        let head = if n % 2 == 0 {
            "POST /v1/bookings HTTP/1.1\r\nhost: a\r\nx-drip: "
        } else {
            "POST /v1/bookings HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n"
        };
        // It may be sent away already: there are more than places.
        let _ = stream.write_all(head.as_bytes()).await;
        drips.spawn(async move {
            while stream.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(700)).await;
            }
        });
    }
    let rest = Rest::of(&shop.stack);
    for _ in 0..20 {
        let answer = rest.get("/v1/bookings?pageSize=1").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(service.get("/readyz").expect("it answers").status, 200);
    }
    shop.serve_a_customer().await?;
    // All of them come to an end, though none is ever silent.
    timeout(PATIENCE, async { while drips.join_next().await.is_some() {} }).await?;
    shop.end();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_too_large_end_one_call_and_nothing_else() -> Outcome {
    let shop = Shop::open("256").await;
    let mut sender = greet(from_elsewhere(grpc(shop.stack.catalog())).await, 65_535).await;
    let mut request = call(LIST_PRODUCTS);
    request.headers_mut().insert("x-large", "x".repeat(20_000).parse()?);
    sender = sender.ready().await?;
    let (response, _) = sender.send_request(request, true)?;
    let refused = response.await.map(|response| response.status().as_u16());
    assert!(!matches!(refused, Ok(200)), "{refused:?}");
    shop.serve_a_customer().await?;
    shop.end();
    Ok(())
}

/// The head of the answer to a call in gRPC-Web; the rest of it is not taken, and the window for it is small.
async fn ask_in_grpc_web(service: &Service, message: &ListProductsRequest) -> (String, TcpStream) {
    let to: SocketAddr = service.http_url().replace("http://", "").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("it can be set");
    // To a peer of small segments a kernel keeps little: of those of loopback it would keep all of an answer, as if it were taken.
    SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT).expect("it can be set");
    socket.bind("127.0.0.9:0".parse().expect("an address")).expect("all of 127/8 is this machine");
    let mut stream = socket.connect(to).await.expect("it listens");
    let body = frame(message);
    let head = format!(
        "POST {LIST_PRODUCTS} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("it is taken");
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.expect("an answer has a head"));
    }
    (String::from_utf8_lossy(&said).into_owned(), stream)
}

/// The same over HTTP/1.1: more large answers than there are places, of which nobody takes more than the head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_grpc_web_that_nobody_takes_keep_nobody_out() -> Outcome {
    let shop = Shop::open("8").await;
    let world = World::of(&shop.stack);
    let description = "x".repeat(1_000);
    let products = (0..1_000).map(|_| Product { description: description.clone(), ..sample_product() });
    for product in products {
        world.create_product(&fresh_id(), product).await?;
    }
    let mut untaken = Vec::new();
    for _ in 0..12 {
        let message = ListProductsRequest { page_size: 1_000, ..ListProductsRequest::default() };
        let (head, stream) = ask_in_grpc_web(shop.stack.catalog(), &message).await;
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("grpc-status"), "{head}");
        untaken.push(stream);
        shop.serve_a_customer().await?;
    }
    shop.end();
    Ok(())
}

/// Who asks for answers and takes none of them: over windows that stay shut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_keep_nobody_out() -> Outcome {
    let shop = Shop::open("8").await;
    let service: &Service = shop.stack.catalog();
    let mut held = Vec::new();
    let mut sender = greet(from_elsewhere(grpc(service)).await, 0).await;
    for _ in 0..64 {
        sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(call(LIST_PRODUCTS), false)?;
        body.send_data(frame(&ListProductsRequest::default()), true)?;
        held.push(response);
    }
    shop.serve_a_customer_soon().await;
    shop.end();
    Ok(())
}
