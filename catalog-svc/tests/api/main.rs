//! CatalogService as its callers see it: the real service on a database of its own for each
//! test, through a real client.

mod binary;
mod cache;
mod cancel_show;
mod contention;
mod create_show;
mod create_show_bad_input;
mod create_show_once;
mod delete_show;
mod faults;
mod find_shows;
mod get_show;
mod life;
mod list_shows;
mod proxy;
mod replica;
mod stall;
mod support;
mod sweep;
mod update_show;
mod watch_shows;
mod watch_shows_ends;
