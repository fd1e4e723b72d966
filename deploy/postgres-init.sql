-- Run once, when PostgreSQL's volume is new: a database for Dagster's history, one for the journal.
CREATE DATABASE dagster;
CREATE DATABASE journal;
