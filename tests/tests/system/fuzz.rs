//! Bad input: arbitrary messages, damaged messages, frames and bytes, at every port of every service.
//!
//! `HOLDFAST_FUZZ_SEED` repeats a run (but for ids, which come out of the answers), `HOLDFAST_FUZZ_REQUESTS` makes it longer.

use std::{
    env,
    net::SocketAddr,
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use prost::{Message as _, bytes::Bytes};
use prost_reflect::DynamicMessage;
use proto::reservation::BookingState;
use stack::Service;
use system_tests::{
    Dice, Outcome, OwnStack, World, eventually,
    fuzz::{
        Lore, Method, Sent, Tally, Target, Verdict, Vitals, call, damaged, frame, message, raw_bytes,
        targets, text,
    },
    hasty, own, seat, units, when,
};
use tokio::time::sleep;
use tonic::{Code, Status, transport::Channel};

/// What the dice begin with where nobody says otherwise.
const SEED: u64 = 1;
const REQUESTS: u64 = 100_000;
/// Part of which come before the memory is first measured.
const WARM_UP: u64 = 20_000;
/// The requests between two deliveries of new goods and bookings.
const COURSE: usize = 2_000;
const FRAMES: u64 = 2_000;
const RAW_CONNECTIONS: u64 = 800;
/// The requests under way at a time.
const IN_FLIGHT: usize = 64;
/// How much a process may have grown after the warm-up.
const GROWTH_MIB: u64 = 64;
/// How often a request is made that is told to come again.
const ATTEMPTS: u32 = 6;
/// What stands before a message on its way: a flag and its length.
const FRAME_HEAD: usize = 5;
/// The defects that are shown.
const SHOWN: usize = 8;

/// A run.
struct Fuzz {
    seed: u64,
    targets: Vec<Target>,
    lore: Lore,
    tally: Tally,
    defects: Mutex<Vec<String>>,
}

impl Fuzz {
    async fn new(stack: &OwnStack) -> Self {
        let seed = setting("HOLDFAST_FUZZ_SEED").unwrap_or(SEED);
        println!("HOLDFAST_FUZZ_SEED={seed}");
        let targets = targets(&[stack.catalog_url(), stack.reservation_url()]).await;
        Self { seed, targets, lore: Lore::default(), tally: Tally::default(), defects: Mutex::default() }
    }

    /// A method, and a connection to who serves it.
    fn pick(&self, dice: &mut Dice) -> (Channel, &Method) {
        let methods = || {
            self.targets.iter().flat_map(|target| target.methods.iter().map(move |method| (target, method)))
        };
        loop {
            let (target, method) = methods().nth(dice.below(methods().count())).expect("below their number");
            // Seldom: or soon there is nothing left to find.
            let ends = ["Delete", "Cancel"].iter().any(|end| method.descriptor.name().starts_with(end));
            if !ends || dice.chance(100) {
                return (dice.pick(&target.channels).clone(), method);
            }
        }
    }

    /// Requests of these numbers, with something new to hit every now and then.
    async fn requests(&self, world: &World, numbers: Range<u64>) -> Outcome {
        for from in numbers.clone().step_by(COURSE) {
            furnish(world, self, from).await?;
            let course = from..numbers.end.min(from + COURSE as u64);
            let requests = stream::iter(course).map(|number| self.request(number));
            requests.buffer_unordered(IN_FLIGHT).collect::<()>().await;
        }
        Ok(())
    }

    /// One request; one in four is damaged on the way.
    async fn request(&self, number: u64) {
        let dice = &mut Dice::new(self.seed, number);
        let (channel, method) = self.pick(dice);
        let count = if method.descriptor.is_client_streaming() { dice.below(4) } else { 1 };
        let input = method.descriptor.input();
        let made: Vec<DynamicMessage> = (0..count).map(|_| message(&input, &self.lore, dice)).collect();
        let is_damaged = dice.chance(250);
        let bytes = made.iter().map(|message| match message.encode_to_vec() {
            bytes if is_damaged => Bytes::from(damaged(bytes, dice)),
            bytes => bytes.into(),
        });
        let sent = Sent { messages: bytes.collect() };
        for attempt in 1.. {
            match call(channel.clone(), method, &sent).await {
                Ok(answers) => {
                    self.tally.count(&method.path, Code::Ok);
                    self.learn(number, method, answers, dice);
                    return;
                }
                Err(status) => {
                    self.tally.count(&method.path, status.code());
                    let readable = !is_damaged && !is_too_large(&sent, &status);
                    let what = match Verdict::of(&method.path, &status, readable) {
                        Verdict::Fine => return,
                        // A machine with much else to do: what waits too long for a lock is sent away.
                        Verdict::Later(delay) if attempt < ATTEMPTS => {
                            sleep(delay).await;
                            continue;
                        }
                        Verdict::Later(_) => "it comes to nothing, however often it is asked",
                        Verdict::Defect(what) => what,
                    };
                    return self.defect(number, method, &made, &sent, &format!("{what}: {}", brief(&status)));
                }
            }
        }
    }

    /// Takes the answers for what they say.
    fn learn(&self, number: u64, method: &Method, answers: Vec<Bytes>, dice: &mut Dice) {
        for answer in answers {
            match DynamicMessage::decode(method.descriptor.output(), answer) {
                Ok(answer) => self.lore.learn(&answer, dice),
                Err(error) => self.note(format!("#{number} {}: no answer of its type: {error}", method.path)),
            }
        }
    }

    /// One request that is wrong below its message. Whatever comes back, nothing may come of it.
    async fn frame(&self, number: u64) {
        let dice = &mut Dice::new(self.seed, number);
        let (channel, method) = self.pick(dice);
        let body = message(&method.descriptor.input(), &self.lore, dice).encode_to_vec();
        let answer = frame(channel, &method.path, &body, dice).await;
        let bad = |status: &str| ["2", "13", "14", "15"].contains(&status) || status.starts_with("HTTP 5");
        if let Ok(status) = answer
            && bad(&status)
        {
            self.note(format!("#{number} {}: a bad frame was answered with {status}", method.path));
        }
    }

    fn defect(&self, number: u64, method: &Method, made: &[DynamicMessage], sent: &Sent, what: &str) {
        let bytes: Vec<_> =
            sent.messages.iter().map(|bytes| format!("{:02x?}", &bytes[..bytes.len().min(300)])).collect();
        let text = made.iter().map(text).collect::<Vec<_>>().join("\n");
        self.note(format!("#{number} {}: {what}\n{text}\nsent as {bytes:?}", method.path));
    }

    fn note(&self, defect: String) {
        self.defects.lock().unwrap_or_else(PoisonError::into_inner).push(defect);
    }

    /// Shows what was done; fails where there was a defect.
    fn conclude(&self, requests: u64) {
        println!("answers:{}", self.tally);
        let defects = self.defects.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = defects.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n\n");
        assert!(defects.is_empty(), "HOLDFAST_FUZZ_SEED={}: {} defects\n{shown}", self.seed, defects.len());
        if requests >= REQUESTS {
            // Otherwise they were not deep enough to mean anything.
            assert_eq!(self.tally.never_ok(), Vec::<String>::new());
        }
    }
}

/// Whether what was sent is more than the service takes. tonic's client says the same of an answer, of another length.
fn is_too_large(sent: &Sent, status: &Status) -> bool {
    let limit = status.message().strip_prefix("the request is larger than ");
    let limit = limit.and_then(|rest| rest.strip_suffix(" bytes")?.parse::<usize>().ok());
    let is_named = |bytes: &Bytes| match limit {
        Some(limit) => bytes.len() + FRAME_HEAD > limit,
        None => status.message().contains(&format!("found {} bytes", bytes.len())),
    };
    status.code() == Code::OutOfRange && sent.messages.iter().any(is_named)
}

fn brief(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message().chars().take(300).collect::<String>())
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Something to hit.
async fn furnish(world: &World, fuzz: &Fuzz, number: u64) -> Outcome {
    let dice = &mut Dice::new(fuzz.seed, !number);
    for _ in 0..4 {
        let product = world.product(100_000, Duration::from_mins(10)).await;
        let map = world.seat_map(&["1A", "1B", "2A", "2B", "3A", "3B"], Duration::from_mins(10)).await;
        let draft = world.draft(&[units(&product, 1)]).await?;
        let held = world.hold(&[units(&product, 2), seat(&map, "1A")]).await?;
        for (name, text) in [
            ("product_id", &product.product_id),
            ("sku", &product.sku),
            ("seat_map_id", &map.seat_map_id),
            ("booking_id", &draft.booking_id),
            ("booking_id", &held.booking_id),
            ("customer_id", &held.customer_id),
        ] {
            fuzz.lore.note(name, text, dice);
        }
    }
    Ok(())
}

/// The ports of every process, gRPC and HTTP.
fn ports(stack: &OwnStack) -> Vec<SocketAddr> {
    let http = stack.services().iter().map(Service::http_url);
    let urls = http.chain([stack.catalog_url(), stack.reservation_url()]);
    urls.map(|url| url.trim_start_matches("http://").parse().expect("an address")).collect()
}

/// Holds that were placed behind reservation's back, with whatever time, are looked at as if it was over.
async fn review_everything(world: &World) {
    let mut catalog = world.catalog_database().await;
    let review = "update holds set review_at = now() where state = 'ACTIVE'";
    sqlx::query(review).execute(&mut catalog).await.expect("holds can be written");
    eventually("every hold was looked at", Duration::from_mins(4), async || {
        let left = "select count(*) from holds where state = 'ACTIVE' and review_at <= now()";
        let left: i64 = sqlx::query_scalar(left).fetch_one(&mut catalog).await.expect("holds can be read");
        when(left == 0, left)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_answered_as_it_should_be_and_harms_nothing() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let fuzz = Fuzz::new(&stack).await;
    let requests = setting("HOLDFAST_FUZZ_REQUESTS").unwrap_or(REQUESTS);

    fuzz.requests(&world, 0..WARM_UP.min(requests)).await?;
    let warm = Vitals::of(&stack);
    println!("after the warm-up: {warm}");
    fuzz.requests(&world, WARM_UP.min(requests)..requests).await?;
    let frames = stream::iter(requests..requests + FRAMES).map(|number| fuzz.frame(number));
    frames.buffer_unordered(IN_FLIGHT).collect::<()>().await;
    let ports = ports(&stack);
    let raw = stream::iter(0..RAW_CONNECTIONS).map(async |number| {
        let dice = &mut Dice::new(fuzz.seed, number.wrapping_neg());
        raw_bytes(*dice.pick(&ports), dice).await;
    });
    raw.buffer_unordered(IN_FLIGHT).collect::<()>().await;
    let after = Vitals::of(&stack);
    println!("afterwards: {after}");

    fuzz.conclude(requests);
    stack.assert_sound();
    after.assert_like(&warm, GROWTH_MIB);
    review_everything(&world).await;
    world.assert_settles().await;
    let meal = world.product(5, Duration::from_mins(1)).await;
    let booking = world.hold(&[units(&meal, 5)]).await?;
    assert_eq!(world.pay(&booking.booking_id).await?.state(), BookingState::Confirmed);
    world.assert_settles().await;
    Ok(())
}
