//! The roles of the databases, as docs/deploying.md has them made: an owner, which migrates, and one that the service has, which
//! may do what the migration lets it.

use anyhow::Result;

use super::{Postgres, Schema};

/// Takes what an earlier `make up` made as the superuser. A table's sequences and indexes go with it.
const HAND_OVER: &str = "do $$
declare
    part record;
begin
    for part in
        select c.oid::regclass as name from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relowner <> 'OWNER'::regrole
    loop
        execute format('alter table %s owner to OWNER', part.name);
    end loop;
    for part in
        select p.oid::regprocedure as name from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proowner <> 'OWNER'::regrole
    loop
        execute format('alter function %s owner to OWNER', part.name);
    end loop;
end
$$";

impl Schema {
    /// The role that owns its database.
    #[must_use]
    pub fn owner(self) -> &'static str {
        match self {
            Self::Catalog => "catalog_owner",
            Self::Reservation => "reservation_owner",
        }
    }

    /// The role that its service has.
    #[must_use]
    pub fn role(self) -> &'static str {
        self.name()
    }
}

impl Postgres {
    /// Makes both roles and the database, unless they are there, and gives everything in it to its owner.
    pub fn prepare(&self, schema: Schema) -> Result<()> {
        let (database, owner) = (schema.name(), schema.owner());
        for role in [owner, schema.role()] {
            let found =
                self.query("postgres", &format!("select 1 from pg_roles where rolname = '{role}'"))?;
            if found.is_empty() {
                self.query("postgres", &format!("create role \"{role}\" login"))?;
            }
        }
        self.create_database(database)?;
        self.query("postgres", &format!("alter database \"{database}\" owner to \"{owner}\""))?;
        self.query(database, &HAND_OVER.replace("OWNER", owner)).map(drop)
    }
}
