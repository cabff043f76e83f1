//! `migrations/schema.sql`: the schema as the migrations make it, in one file.
//!
//! It is for reading: a review sees there what a migration changes, and a newcomer the whole
//! schema. This test writes it; it is the same on every supported version of PostgreSQL.

use std::{env, fs};

use test_harness::postgres::database;

/// The variable that has the file written instead of compared.
const WRITE: &str = "TICKETING_WRITE_SCHEMA";
const COMMAND: &str = "TICKETING_WRITE_SCHEMA=1 cargo test -p migrations --test snapshot";
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql");

/// Tables, views, indexes, functions and types without a comment. The indexes of keys need none.
const UNEXPLAINED: &str = "
    WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname IN ('catalog', 'booking'))
    SELECT c.oid::regclass::text AS name
    FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
    WHERE obj_description(c.oid, 'pg_class') IS NULL AND (
        c.relkind IN ('r', 'v')
        OR c.relkind = 'i' AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u')
        )
    )
    UNION ALL
    SELECT p.oid::regprocedure::text
    FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
    WHERE obj_description(p.oid, 'pg_proc') IS NULL
    UNION ALL
    SELECT t.oid::regtype::text
    FROM pg_type AS t JOIN ours ON ours.oid = t.typnamespace
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE obj_description(t.oid, 'pg_type') IS NULL AND (t.typtype = 'e' OR c.relkind = 'c')";

#[tokio::test]
async fn the_file_is_the_schema_of_the_migrations() {
    let database = database().await;
    let owner = database.owner().await;
    let qualified = owner.batch_execute("SET search_path = ''").await;
    qualified.expect("a session");
    let description = owner.query_one(include_str!("snapshot.sql"), &[]).await;
    let description: String = description.expect("a description").get(0);
    let made = format!(
        "-- What the migrations make. Generated, for reading; never run.\n\
         -- {COMMAND}\n\n{description}"
    );
    if env::var_os(WRITE).is_some() {
        fs::write(FILE, made).expect("write the file");
        return;
    }
    let written = fs::read_to_string(FILE).expect("the file");
    let pairs = written.lines().zip(made.lines());
    let same = pairs.take_while(|(written, made)| written == made).count();
    assert!(
        written == made,
        "migrations/schema.sql is not what the migrations make, from line {} on:\n  it says  \
         {:?}\n  there is {:?}\nIf that is meant: {COMMAND}",
        same + 1,
        written.lines().nth(same),
        made.lines().nth(same),
    );
}

#[tokio::test]
async fn what_the_schema_has_is_explained_by_a_comment() {
    let database = database().await;
    let found = database.owner().await.query(UNEXPLAINED, &[]).await;
    let unexplained: Vec<String> = found.expect("names").iter().map(|row| row.get(0)).collect();
    assert!(unexplained.is_empty(), "COMMENT ON these: {unexplained:?}");
}
