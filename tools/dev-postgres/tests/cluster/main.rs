//! Clusters, as their owners see them. Set `TICKETING_POSTGRES=download` to run all of this
//! with the downloaded release.

mod crash;
mod durable;
mod life;
mod owner;
mod place;
mod port;
mod support;
