#!/bin/sh
# Run once by the postgres image, for deploy/compose.yaml: both databases, and for each its owner, which migrates, and the role of its
# service, which may do what the migration lets it (docs/deploying.md). One password for all: this is for one's own machine.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$POSTGRES_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create role catalog_owner login password :'password';
create role catalog login password :'password';
create database catalog owner catalog_owner;
create role reservation_owner login password :'password';
create role reservation login password :'password';
create database reservation owner reservation_owner;
SQL
