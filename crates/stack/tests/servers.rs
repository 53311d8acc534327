//! The private servers: they start, stop, crash and come back, and leave nothing behind.

use stack::{Home, Postgres, PostgresOptions, PostgresPair, RabbitMq, Schema, Shutdown, port};

fn count(postgres: &Postgres) -> String {
    postgres.query("books", "select count(*) from kept").expect("the table is there")
}

#[test]
fn postgres_keeps_its_data_and_port_through_a_stop_and_a_crash() {
    let postgres = Postgres::temporary().expect("PostgreSQL starts");
    let port = postgres.port();
    postgres.create_database("books").expect("is created");
    postgres.create_database("books").expect("is there");
    postgres.query("books", "create table kept (id int); insert into kept values (1)").expect("is written");
    postgres.stop(Shutdown::Immediate);
    assert!(postgres.query("books", "select 1").is_err());
    postgres.restart().expect("starts again");
    assert_eq!(count(&postgres), "1");
    postgres.kill();
    postgres.restart().expect("recovers");
    assert_eq!((count(&postgres), postgres.port()), ("1".to_owned(), port));
    postgres.freeze();
    postgres.thaw();
    assert_eq!(count(&postgres), "1");
}

#[test]
fn fresh_databases_have_the_tables_and_nothing_of_each_other() {
    let postgres = Postgres::temporary().expect("PostgreSQL starts");
    let first = postgres.fresh(Schema::Catalog).expect("is created");
    let second = postgres.fresh(Schema::Catalog).expect("is created");
    assert_ne!(first, second);
    let name = first.rsplit_once('/').expect("is a URL").1;
    assert_eq!(postgres.query(name, "select count(*) from holds").expect("has the tables"), "0");
    assert!(postgres.fresh(Schema::Reservation).is_ok());
}

#[test]
fn servers_that_start_at_the_same_time_do_not_get_in_each_others_way() {
    let start = || std::thread::spawn(|| Postgres::temporary().expect("PostgreSQL starts"));
    let servers = [start(), start(), start(), start()].map(|server| server.join().expect("does not panic"));
    for server in &servers {
        assert_eq!(server.query("postgres", "select 1").expect("answers"), "1");
    }
    let ids = servers.each_ref().map(Postgres::id);
    drop(servers);
    assert!(ids.into_iter().flatten().all(|id| !id.is_running()));
}

#[test]
fn rabbitmq_keeps_its_data_and_port_through_a_stop_and_a_crash() {
    let node = RabbitMq::temporary().expect("RabbitMQ starts");
    let port = node.port();
    node.control("rabbitmqctl", &["-q", "add_user", "somebody", "secret"]).expect("the node obeys");
    node.stop();
    assert!(port::is_free(port) && node.id().is_none() && node.epmd_id().is_none());
    node.restart().expect("starts again");
    node.kill();
    assert!(port::is_free(port));
    node.restart().expect("recovers");
    let users = node.control("rabbitmqctl", &["-q", "list_users"]).expect("the node obeys");
    assert!(users.contains("somebody"), "{users}");
    assert_eq!(node.port(), port);
    let ids = [node.id(), node.epmd_id()];
    drop(node);
    assert!(ids.into_iter().flatten().all(|id| !id.is_running()));
}

#[test]
fn what_was_committed_is_there_after_each_promotion() {
    let home = Home::temporary("pair").expect("a folder can be made");
    let pair = PostgresPair::start(&home, PostgresOptions::default()).expect("both start");
    let ask = |sql: &str| pair.primary().query("postgres", sql).expect("the primary answers");
    ask("create table kept (id int)");
    for id in 0..3 {
        ask(&format!("insert into kept values ({id})"));
        assert!(pair.standby().query("postgres", "insert into kept values (-1)").is_err());
        let old = pair.primary().port();
        pair.promote().expect("the standby becomes the primary");
        assert_eq!((pair.standby().port(), pair.standby().id()), (old, None));
        assert_eq!(ask("select count(*) from kept"), (id + 1).to_string());
        pair.rebuild().expect("the other becomes the standby");
    }
    assert!(pair.servers().iter().all(|server| pair.url("x").contains(&server.port().to_string())));
}

#[test]
fn a_node_that_was_killed_joins_its_cluster_again() {
    let home = Home::temporary("nodes").expect("a folder can be made");
    let nodes = RabbitMq::cluster(&home, 3).expect("the cluster starts");
    let all_are_there = |node: &RabbitMq| {
        node.control("rabbitmqctl", &["-q", "-t", "60", "await_online_nodes", "3"]).expect("three are there");
    };
    all_are_there(&nodes[2]);
    nodes[0].kill();
    nodes[0].restart().expect("joins again");
    all_are_there(&nodes[0]);
    let ids: Vec<_> = nodes.iter().map(RabbitMq::id).chain([nodes[0].epmd_id()]).collect();
    drop((nodes, home));
    assert!(ids.into_iter().flatten().all(|id| !id.is_running()));
}

/// As an older `make up` left it: everything belongs to the superuser.
#[test]
fn a_database_of_the_superuser_is_handed_over_to_its_owner() {
    let postgres = Postgres::temporary().expect("PostgreSQL starts");
    let schema = Schema::Catalog;
    postgres.create_database(schema.name()).expect("is created");
    postgres.migrate(schema.name(), schema).expect("is migrated");
    for _ in 0..2 {
        postgres.prepare(schema).expect("is handed over");
    }
    let strangers = "select count(*) from pg_class c where relnamespace = 'public'::regnamespace
                     and relowner <> 'catalog_owner'::regrole";
    assert_eq!(postgres.query(schema.name(), strangers).expect("answers"), "0");
    let functions = "select proowner::regrole from pg_proc where proname = 'take_all'";
    assert_eq!(postgres.query(schema.name(), functions).expect("answers"), schema.owner());
}
