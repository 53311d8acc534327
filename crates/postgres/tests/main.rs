//! Against a real server: `DATABASE_URL` names one on which databases may be made and dropped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pair;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use postgres::{
    DatabaseConfig, UnitOfWork, autocommit, await_schema, boot, connect, migrate, transact,
    transact_unsynced, violates, watch,
};
use server::{Health, PartState, Snapshot};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Barrier, Notify},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/catalog");
const PATIENCE: Duration = Duration::from_secs(30);

fn config(options: &PgConnectOptions) -> DatabaseConfig {
    DatabaseConfig {
        database_url: options.to_url_lossy().to_string().into(),
        migrate_url: "".into(),
        database_connections: 2,
    }
}

/// A server that nobody listens for.
async fn nobody() -> PgConnectOptions {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(address.port()).username("x").database("x")
}

async fn make_counters(pool: &PgPool) {
    sqlx::query("create table counters (name text primary key, value int not null)")
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("insert into counters values ('a', 0), ('b', 0)").execute(pool).await.unwrap();
}

async fn count(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let update = sqlx::query("update counters set value = value + 1 where name = $1");
    update.bind(name).execute(connection).await.map(|_| ())
}

async fn values(pool: &PgPool) -> Vec<i32> {
    sqlx::query_scalar("select value from counters order by name").fetch_all(pool).await.unwrap()
}

/// Counts `first`, waits for the other unit of work to have counted its own, and counts `second`.
struct CountBoth {
    first: &'static str,
    second: &'static str,
    both_hold_one: Arc<Barrier>,
    tried: AtomicBool,
}

impl UnitOfWork for CountBoth {
    type Output = ();
    type Error = sqlx::Error;

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        count(connection, self.first).await?;
        if !self.tried.swap(true, Ordering::Relaxed) {
            self.both_hold_one.wait().await;
        }
        count(connection, self.second).await
    }
}

#[sqlx::test(migrations = false)]
async fn a_unit_of_work_that_loses_a_deadlock_is_done_again(pool: PgPool) {
    make_counters(&pool).await;
    let both_hold_one = Arc::new(Barrier::new(2));
    let units = [["a", "b"], ["b", "a"]].map(|[first, second]| {
        let work =
            CountBoth { first, second, both_hold_one: both_hold_one.clone(), tried: AtomicBool::new(false) };
        let pool = pool.clone();
        tokio::spawn(async move { transact(&pool, &work).await })
    });
    for unit in units {
        unit.await.unwrap().unwrap();
    }
    assert_eq!(values(&pool).await, [2, 2]);
}

/// Counts, then fails.
struct CountAndFail;

impl UnitOfWork for CountAndFail {
    type Output = ();
    type Error = sqlx::Error;

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        count(connection, "a").await?;
        Err(sqlx::Error::RowNotFound)
    }
}

#[sqlx::test(migrations = false)]
async fn a_unit_of_work_that_fails_leaves_nothing(pool: PgPool) {
    make_counters(&pool).await;
    let outcome = transact(&pool, &CountAndFail).await;
    assert!(matches!(outcome, Err(sqlx::Error::RowNotFound)));
    assert_eq!(values(&pool).await, [0, 0]);
}

/// Counts, then never comes to an end.
struct CountAndHang;

impl UnitOfWork for CountAndHang {
    type Output = ();
    type Error = sqlx::Error;

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        count(connection, "b").await?;
        pending().await
    }
}

async fn yield_often(times: i32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrations = false)]
async fn a_unit_of_work_that_is_left_at_any_moment_leaves_no_transaction_open(pool: PgPool) {
    make_counters(&pool).await;
    let mut config = config(&pool.connect_options());
    config.database_connections = 1;
    let only = connect(&config, &CancellationToken::new()).await.unwrap();
    for times in 0..60 {
        tokio::select! {
            biased;
            outcome = transact(&only, &CountAndHang) => panic!("it has no end: {outcome:?}"),
            () = yield_often(times) => {}
        }
        // Without a transaction of its own, and durable all the same.
        count(&mut only.acquire().await.unwrap(), "a").await.unwrap();
        assert_eq!(values(&pool).await, [times + 1, 0]);
    }
}

/// Tells whether its commit waits for the disk.
struct Durability;

impl UnitOfWork for Durability {
    type Output = String;
    type Error = sqlx::Error;

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<String> {
        sqlx::query_scalar("show synchronous_commit").fetch_one(connection).await
    }
}

#[sqlx::test(migrations = false)]
async fn a_unit_of_work_that_is_not_synced_leaves_the_next_one_synced(pool: PgPool) {
    let mut config = config(&pool.connect_options());
    config.database_connections = 1;
    let only = connect(&config, &CancellationToken::new()).await.unwrap();
    assert_eq!(transact_unsynced(&only, &Durability).await.unwrap(), "off");
    assert_eq!(transact(&only, &Durability).await.unwrap(), "on");
    assert_eq!(autocommit(&only, &Durability).await.unwrap(), "on");
}

#[sqlx::test(migrations = false)]
async fn a_broken_rule_is_told_by_its_name(pool: PgPool) {
    make_counters(&pool).await;
    let twice = sqlx::query("insert into counters values ('a', 0)");
    let error = twice.execute(&pool).await.unwrap_err();
    assert!(violates(&error, "counters_pkey"));
}

#[sqlx::test(migrations = false)]
async fn a_session_has_its_limits(pool: PgPool) {
    let config = config(&pool.connect_options());
    let pool = connect(&config, &CancellationToken::new()).await.unwrap();
    let show = "select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')";
    let limits: String = sqlx::query_scalar(show).fetch_one(&pool).await.unwrap();
    assert_eq!(limits, "5s 2s");
}

#[sqlx::test(migrations = false)]
async fn a_service_waits_for_the_schema_and_says_what_is_missing(pool: PgPool) {
    let (stop, health) = (CancellationToken::new(), Health::new(&[]).require("schema"));
    let waiting = tokio::spawn({
        let (pool, health, stop) = (pool.clone(), health.clone(), stop.clone());
        async move { await_schema(&MIGRATOR, &pool, &health, &stop).await }
    });
    let missing = |snapshot: &Snapshot| match &snapshot.parts["schema"].state {
        PartState::Down(reason) => reason.contains("0001 products seats holds"),
        PartState::Up => false,
    };
    timeout(PATIENCE, health.subscribe().wait_for(missing)).await.unwrap().unwrap();
    migrate(&MIGRATOR, &[], &config(&pool.connect_options())).await.unwrap();
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert!(health.is_ready());
    migrate(&MIGRATOR, &[], &config(&pool.connect_options())).await.unwrap(); // a repeat changes nothing
}

/// A role of this test's own, that may do nothing yet. Roles are the server's: it is to be dropped.
async fn make_role(pool: &PgPool, name: &str) -> String {
    let role = format!("{name}_{}", std::process::id());
    sqlx::raw_sql(AssertSqlSafe(format!("create role {role}"))).execute(pool).await.unwrap();
    role
}

async fn drop_role(pool: &PgPool, role: &str) {
    let drop = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_service_that_may_not_read_the_version_says_how_it_gets_the_right(pool: PgPool) {
    let (stop, health) = (CancellationToken::new(), Health::new(&[]).require("schema"));
    let options = pool.connect_options();
    migrate(&MIGRATOR, &[], &config(&options)).await.unwrap();
    let role = make_role(&pool, "stranger").await;
    let of_role = PgPool::connect_lazy_with(options.as_ref().clone().options([("role", &role)]));
    let waiting = tokio::spawn({
        let (pool, health) = (of_role.clone(), health.clone());
        async move { await_schema(&MIGRATOR, &pool, &health, &stop).await }
    });
    let told = |snapshot: &Snapshot| matches!(&snapshot.parts["schema"].state, PartState::Down(why) if why.contains("HOLDFAST_MIGRATE_URL"));
    timeout(PATIENCE, health.subscribe().wait_for(told)).await.unwrap().unwrap();
    let grant = format!("grant select on _sqlx_migrations to {role}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&pool).await.unwrap();
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    of_role.close().await;
    drop_role(&pool, &role).await;
}

/// Rights are given to what another changes: they wait for each other.
#[sqlx::test(migrations = false)]
async fn those_who_migrate_and_give_rights_at_once_all_succeed(pool: PgPool) {
    let options = pool.connect_options();
    let role = make_role(&pool, "service").await;
    let service = options.as_ref().clone().username(&role);
    let owned = DatabaseConfig { migrate_url: options.to_url_lossy().to_string().into(), ..config(&service) };
    let migrating = || migrate(&MIGRATOR, &[], &owned);
    let (first, second, third) = tokio::join!(migrating(), migrating(), migrating());
    for migrated in [first, second, third] {
        migrated.unwrap();
    }
    let may: bool = sqlx::query_scalar("select has_table_privilege($1, 'products', 'update')")
        .bind(&role)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(may);
    drop_role(&pool, &role).await;
}

#[sqlx::test(migrations = false)]
async fn the_owner_is_not_taken_for_the_service(pool: PgPool) {
    let options = pool.connect_options();
    let url = options.to_url_lossy().to_string();
    let both = DatabaseConfig { migrate_url: url.into(), ..config(&options) };
    let error = format!("{:#}", migrate(&MIGRATOR, &[], &both).await.unwrap_err());
    assert!(error.contains("may act as the owner"), "{error}");
    migrate(&MIGRATOR, &[], &config(&options)).await.unwrap(); // nothing was taken from it
}

/// What is rolled back to, or not rolled out yet, works on the schema of the next release.
#[sqlx::test(migrations = false)]
async fn a_schema_of_a_later_release_is_welcome(pool: PgPool) {
    let (stop, health) = (CancellationToken::new(), Health::new(&[]).require("schema"));
    migrate(&MIGRATOR, &[], &config(&pool.connect_options())).await.unwrap();
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (9999, 'of a later release', true, '', 0)";
    sqlx::query(later).execute(&pool).await.unwrap();
    migrate(&MIGRATOR, &[], &config(&pool.connect_options())).await.unwrap();
    await_schema(&MIGRATOR, &pool, &health, &stop).await.unwrap();
    assert!(health.is_ready());
}

#[sqlx::test(migrations = false)]
async fn a_service_that_is_told_to_stop_while_it_waits_has_nothing_to_complain_of(pool: PgPool) {
    let (stop, health) = (CancellationToken::new(), Health::new(&[]).require("schema"));
    let config = config(&pool.connect_options());
    let booting = tokio::spawn({
        let (health, stop) = (health.clone(), stop.clone());
        async move { boot(&MIGRATOR, &config, &health, &stop).await }
    });
    let waits = |snapshot: &Snapshot| matches!(&snapshot.parts["schema"].state, PartState::Down(why) if why.contains("not migrated"));
    timeout(PATIENCE, health.subscribe().wait_for(waits)).await.unwrap().unwrap();
    stop.cancel();
    assert!(timeout(PATIENCE, booting).await.unwrap().unwrap().unwrap().is_none());
}

#[tokio::test]
async fn waiting_for_a_server_ends_when_asked_to_stop() {
    let stop = CancellationToken::new();
    let config = config(&nobody().await);
    let waiting = tokio::spawn({
        let stop = stop.clone();
        async move { connect(&config, &stop).await }
    });
    stop.cancel();
    assert!(timeout(PATIENCE, waiting).await.unwrap().unwrap().is_err());
}

/// Stands between the pool and the server; connections made before it is told to freeze fall silent then, for good.
async fn freezing_proxy(server: &PgConnectOptions, freeze: Arc<Notify>) -> PgConnectOptions {
    let (host, port) = (server.get_host().to_owned(), server.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = server.clone().host("127.0.0.1").port(listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect((host.as_str(), port)).await.unwrap();
            let freeze = freeze.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    () = freeze.notified() => {
                        drop(server); // or the database could not be dropped after the test
                        pending::<()>().await;
                    }
                }
            });
        }
    });
    proxy
}

#[sqlx::test(migrations = false)]
async fn a_connection_that_falls_silent_is_replaced(pool: PgPool) {
    let freeze = Arc::new(Notify::new());
    let mut config = config(&freezing_proxy(&pool.connect_options(), freeze.clone()).await);
    config.database_connections = 1;
    let pool = connect(&config, &CancellationToken::new()).await.unwrap();
    sqlx::query("select 1").execute(&pool).await.unwrap();
    freeze.notify_waiters();
    let silent = timeout(Duration::from_millis(50), sqlx::query("select 1").execute(&pool)).await;
    assert!(silent.is_err(), "{silent:?}");
    let replaced = async { while sqlx::query("select 1").execute(&pool).await.is_err() {} };
    timeout(PATIENCE, replaced).await.expect("another connection takes its place");
}

#[sqlx::test(migrations = false)]
async fn the_health_of_the_database_is_told(pool: PgPool) {
    let stop = CancellationToken::new();
    let there = Health::new(&[]).require("database");
    let absent = Health::new(&[]).require("database");
    let lazy = PgPoolOptions::new().connect_lazy_with(nobody().await);
    absent.set("database", PartState::Up);
    tokio::spawn(watch(pool.clone(), there.clone(), stop.clone()));
    tokio::spawn(watch(lazy, absent.clone(), stop.clone()));
    let mut up = there.subscribe();
    timeout(PATIENCE, up.wait_for(Snapshot::is_ready)).await.unwrap().unwrap();
    let mut down = absent.subscribe();
    timeout(PATIENCE, down.wait_for(|snapshot| !snapshot.is_ready())).await.unwrap().unwrap();
    stop.cancel();
}
