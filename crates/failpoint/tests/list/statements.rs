//! A statement that is added to a unit of work is a step, and needs a failpoint behind it.

use crate::sources::{last_word, sources};

/// Whose units of work write bookings and holds. Products and seat maps are written by their RPCs, a statement each.
const WRITERS: [&str; 2] = ["services/catalog/src", "services/reservation/src"];
/// Where no units of work are: the statements themselves, and who calls for the units.
const NO_UNITS: [&str; 4] = ["store", "rpc", "domain", "convert"];
/// How the names of store functions begin that write nothing. All others write.
const READS: [&str; 9] = ["clock", "count", "find", "get", "list", "lock", "look", "newest", "wrong"];
/// Beside the units of work: `reservation retry-parked`, a statement and its commit in one, and `catalog recount`, which is run again.
const ALONE: [(&str, &str); 3] =
    [("lib.rs", "parked::give_back"), ("recount.rs", "counts::give_back"), ("recount.rs", "counts::add")];

/// A call with a connection: where its arguments begin, its path, and its name.
struct Call<'a> {
    at: usize,
    path: &'a str,
    name: &'a str,
}

/// All calls whose first argument is a connection.
fn calls(code: &str) -> Vec<Call<'_>> {
    let with_a_connection = |(at, _): (usize, &str)| {
        let argument = code[at + 1..].trim_start();
        let is_a_call = ["conn,", "conn)", "&mut conn,", "&mut conn)", "&mut *"]
            .iter()
            .any(|connection| argument.starts_with(connection));
        let name = last_word(&code[..at]);
        let path = code[..at - name.len()].strip_suffix("::").map_or("", last_word);
        (is_a_call && !name.is_empty()).then_some(Call { at, path, name })
    };
    code.match_indices('(').filter_map(with_a_connection).collect()
}

#[test]
fn every_statement_that_writes_is_followed_by_a_failpoint() {
    let mut writes = 0;
    for folder in WRITERS {
        let in_units = |path: &str| !NO_UNITS.iter().any(|part| path.starts_with(part));
        for source in sources(folder).into_iter().filter(|source| in_units(&source.path)) {
            let own: Vec<&str> = source.functions().into_iter().map(|(name, _)| name).collect();
            assert!(
                !source.code.contains("sqlx::query"),
                "{}: a statement outside of the store",
                source.path
            );
            for (_, body) in source.functions() {
                for Call { at, path, name } in calls(body) {
                    // Functions of the file itself, or of a type of it: their statements are looked at where they stand.
                    let is_own = path.is_empty() || path.starts_with(char::is_uppercase);
                    assert!(!is_own || own.contains(&name), "{}: whose is {name}?", source.path);
                    let reads = READS.contains(&name.split('_').next().unwrap());
                    if is_own || reads || ALONE.contains(&(&*source.path, &*format!("{path}::{name}"))) {
                        continue;
                    }
                    writes += 1;
                    // Whatever is awaited next has to be the failpoint.
                    let (_, rest) = body[at..].split_once(".await").unwrap();
                    let followed = rest.split(".await").next().unwrap().contains("reach(");
                    assert!(followed, "{folder}/{}: no failpoint after {path}::{name}", source.path);
                }
            }
        }
    }
    assert!(writes >= 16, "only {writes} statements were recognised");
}
