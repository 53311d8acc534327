-- Run once by the postgres image, for deploy/compose.yaml: it makes the database `catalog` itself.
create database reservation;
