//! The private servers: they start, stop, crash and come back, and leave nothing behind.

use stack::{Postgres, RabbitMq, Schema, Shutdown, port};

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
