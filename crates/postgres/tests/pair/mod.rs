//! A primary and its synchronous standby: the pool follows, and nothing is acknowledged that only one of them has.

mod alarm;

use std::{sync::LazyLock, time::Duration};

use postgres::{Aside, DatabaseConfig, UnitOfWork, connect, is_outage, transact, watch};
use server::{Health, PartState};
use sqlx::{PgConnection, PgPool};
use stack::{Home, Postgres, PostgresOptions, PostgresPair, Proxy, Weather, port::loopback};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;

static PAIR: LazyLock<PostgresPair> = LazyLock::new(|| {
    let home = Home::temporary("pair").unwrap();
    let pair = PostgresPair::start(&home, PostgresOptions::default()).unwrap();
    pair.primary().query("postgres", "create table notes (id int primary key)").unwrap();
    pair
});
/// What a session past the pool sees of a test's notes.
const SHOWN: &str = "select id from notes where id in (21, 22) order by id";
static TURN: Mutex<()> = Mutex::const_new(());

/// The pair, for one test at a time, and a pool that follows its primary.
struct Bench {
    pool: PgPool,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    async fn new() -> Self {
        let turn = TURN.lock().await;
        blocking(|_| {}).await;
        Self { pool: follow().await, _turn: turn }
    }
}

/// Does what blocks with the pair.
async fn blocking<T: Send + 'static>(work: impl FnOnce(&PostgresPair) -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(|| work(&PAIR)).await.unwrap()
}

async fn follow() -> PgPool {
    follow_by(PAIR.url("postgres")).await
}

async fn follow_by(url: String) -> PgPool {
    let config = DatabaseConfig { database_url: url.into(), migrate_url: "".into(), database_connections: 3 };
    timeout(PATIENCE, connect(&config, &CancellationToken::new())).await.unwrap().unwrap()
}

/// Writes one line.
struct Note(i32);

impl UnitOfWork for Note {
    type Output = ();
    type Error = sqlx::Error;

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let insert = sqlx::query("insert into notes values ($1)");
        insert.bind(self.0).execute(connection).await.map(|_| ())
    }
}

async fn notes(pool: &PgPool) -> sqlx::Result<Vec<i32>> {
    sqlx::query_scalar("select id from notes order by id").fetch_all(pool).await
}

/// Tries until it works. Only outages may come between.
async fn insist(pool: &PgPool, note: i32) {
    let insist = async {
        while let Err(error) = transact(pool, &Note(note)).await {
            assert!(is_outage(&error), "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, insist).await.expect("the pool finds the primary");
}

async fn port(pool: &PgPool) -> i32 {
    sqlx::query_scalar("select inet_server_port()").fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_follows_the_server_that_was_promoted() {
    let bench = Bench::new().await;
    insist(&bench.pool, 1).await;
    blocking(|pair| {
        pair.promote().unwrap();
        pair.rebuild().unwrap();
    })
    .await;
    insist(&bench.pool, 2).await;
    let noted = notes(&bench.pool).await.unwrap();
    assert!(noted.contains(&1) && noted.contains(&2), "{noted:?}");
    assert_eq!(port(&bench.pool).await, i32::from(PAIR.primary().port()));
    assert_eq!(port(&follow().await).await, i32::from(PAIR.primary().port()));
}

/// It was not fenced: it runs again and takes writes. Nobody writes to it, and it acknowledges nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_comes_back_is_left_alone() {
    let bench = Bench::new().await;
    blocking(|pair| {
        pair.promote().unwrap();
        pair.standby().restart().unwrap();
    })
    .await;
    // At start, too, although both take writes.
    let late = follow().await;
    assert_eq!(late.connect_options().get_port(), PAIR.primary().port());
    let old = PgPool::connect(&PAIR.standby().url("postgres")).await.unwrap();
    let unheard = timeout(Duration::from_secs(2), Note(10).run(&mut old.acquire().await.unwrap())).await;
    assert!(unheard.is_err(), "the old primary acknowledged: {unheard:?}");
    blocking(|pair| pair.rebuild().unwrap()).await;
    insist(&bench.pool, 11).await;
    let noted = notes(&bench.pool).await.unwrap();
    assert!(noted.contains(&11) && !noted.contains(&10), "{noted:?}");
}

/// The trap of synchronous replication: a wait that is cancelled reports success. No limit of ours cancels it.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_standby_a_primary_acknowledges_nothing_however_long_it_takes() {
    let bench = Bench::new().await;
    insist(&bench.pool, 20).await;
    // Sessions to lose: without the standby there will be no new ones.
    drop([bench.pool.acquire().await.unwrap(), bench.pool.acquire().await.unwrap()]);
    let idle = async {
        while bench.pool.num_idle() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, idle).await.expect("they come back");
    blocking(|pair| pair.standby().kill()).await;
    // Twice as long as statement_timeout: the unit of work gives up by itself, and its fate is unknown.
    let error = transact(&bench.pool, &Note(21)).await.unwrap_err();
    assert!(is_outage(&error), "{error:?}");
    let shown = blocking(|pair| pair.primary().query("postgres", SHOWN).unwrap()).await;
    assert_eq!(shown, "", "nobody may see what is not safe yet");
    // One statement only, which is a transaction by itself.
    let alone = postgres::autocommit(&bench.pool, &Note(22)).await.unwrap_err();
    assert!(is_outage(&alone), "{alone:?}");
    // After a crash the server shows what it had committed; the pool does not, for a promotion would undo it.
    blocking(|pair| {
        pair.primary().kill();
        pair.primary().restart().unwrap();
        assert_eq!(pair.primary().query("postgres", SHOWN).unwrap(), "21\n22");
    })
    .await;
    for _ in 0..3 {
        let error = notes(&bench.pool).await.unwrap_err();
        assert!(is_outage(&error), "{error:?}");
    }
    // Nor does the audit, and the service is not ready.
    let mut aside = Aside::new(&bench.pool).take().unwrap();
    assert!(is_outage(&aside.snapshot().await.unwrap_err()));
    let (health, stop) = (Health::new(&[]).require("database"), CancellationToken::new());
    health.set("database", PartState::Up);
    let mut states = health.subscribe();
    tokio::spawn(watch(bench.pool.clone(), health, stop.clone()));
    timeout(PATIENCE, states.wait_for(|state| !state.is_ready())).await.unwrap().unwrap();
    stop.cancel();
    // However many ask: one session waits for the standby, and the server has room for others.
    let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    let waiting = blocking(move |pair| pair.primary().query("postgres", waiting).unwrap()).await;
    assert_eq!(waiting, "1");
    blocking(|pair| pair.standby().restart().unwrap()).await;
    insist(&bench.pool, 23).await;
    // Committed there, they are everywhere in the end.
    let noted = notes(&bench.pool).await.unwrap();
    assert!([20, 21, 22, 23].iter().all(|note| noted.contains(note)), "{noted:?}");
}

/// Demoted under its connections, which live on: none of them stays in the pool.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_any_more_loses_its_connections() {
    let bench = Bench::new().await;
    let read_only = |server: &Postgres, value: &str| {
        server
            .query("postgres", &format!("alter system set default_transaction_read_only = {value}"))
            .unwrap();
        server.query("postgres", "select pg_reload_conf()").unwrap();
    };
    insist(&bench.pool, 30).await;
    blocking(move |pair| read_only(pair.primary(), "on")).await;
    let refused = async {
        loop {
            match transact(&bench.pool, &Note(31)).await {
                Err(error) => break assert!(is_outage(&error), "{error:?}"),
                Ok(()) => {
                    sqlx::query("delete from notes where id = 31").execute(&bench.pool).await.unwrap();
                }
            }
        }
    };
    timeout(PATIENCE, refused).await.expect("the server obeys");
    let emptied = async {
        while bench.pool.num_idle() > 0 {
            let _ = notes(&bench.pool).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, emptied).await.expect("its connections are closed");
    assert!(is_outage(&notes(&bench.pool).await.unwrap_err()));
    blocking(move |pair| read_only(pair.primary(), "off")).await;
    insist(&bench.pool, 32).await;
}

/// The old primary answers and is killed; the new one is asked over a slow link, and answers after its promotion.
#[tokio::test]
async fn what_a_server_said_before_it_was_killed_makes_it_no_rival() {
    let _turn = TURN.lock().await;
    let (alarm, _guard) = alarm::listen();
    let proxy = blocking(|pair| Proxy::start(loopback(pair.standby().port())).unwrap()).await;
    let standby = PAIR.standby().port();
    let url = PAIR.url("postgres").replace(&format!(":{standby}"), &format!(":{}", proxy.port()));
    let pool = follow_by(url).await;
    insist(&pool, 40).await;
    proxy.set(Weather::Stalled);
    blocking(|pair| {
        let asked =
            "select max(query_start) from pg_stat_activity where query = 'show transaction_read_only'";
        let asked = || pair.primary().query("postgres", asked).unwrap();
        let before = asked();
        assert!(stack::wait::until(PATIENCE, || asked() != before), "every server is asked each second");
        pair.promote().unwrap();
    })
    .await;
    proxy.set(Weather::Fair);
    let turned = async {
        while pool.connect_options().get_port() != proxy.port() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, turned).await.expect("the pool turns to the new primary");
    assert!(!alarm.rang());
    blocking(|pair| pair.rebuild().unwrap()).await;
    insist(&pool, 41).await;
}
