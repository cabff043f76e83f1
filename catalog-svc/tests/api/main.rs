//! CatalogService as its callers see it: the real service on a separate database for each
//! test, through a real client.

mod batch_get_shows;
mod binary;
mod cache;
mod cancel_show;
mod change_seat_layout;
mod contention;
mod create_show;
mod create_show_bad_input;
mod create_show_bad_sale;
mod create_show_once;
mod delete_show;
mod faults;
mod find_by_name;
mod find_shows;
mod get_show;
mod internal;
mod largest;
mod lifecycle;
mod list_shows;
mod proxy;
mod replica;
mod schedule;
mod seat_layouts;
mod set_prices;
mod show_life;
mod slots;
mod stall;
mod support;
mod sweep;
mod unreadable;
mod update_show;
mod watch_shows;
mod watch_shows_ends;
