//! No kind of line can fill the log: of each place in the code that writes one at level info or
//! above, our own or a library's, a limited number of lines a minute is written, and then how many were left
//! out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The most lines of one place in a minute.
pub(crate) const LINES_PER_MINUTE_MAX: u32 = 60;

/// Counts the lines of each place in the code. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogLimit {
    // As many entries as the program has places that log.
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

#[derive(Debug)]
struct Place {
    metadata: &'static Metadata<'static>,
    lines: u32,
}

impl LogLimit {
    /// Begins a new minute, and logs for each place how many lines of the last one were left out.
    pub(crate) fn begin_minute(&self) {
        let last = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *places)
        };
        for Place { metadata, lines } in last.into_values() {
            let left_out = lines.saturating_sub(LINES_PER_MINUTE_MAX);
            if left_out > 0 {
                let (file, line) = (metadata.file(), metadata.line());
                let (level, target) = (metadata.level(), metadata.target());
                tracing::warn!(left_out, %level, target, file, line, "lines of a kind were left out");
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // A filter below INFO asks for every line.
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places
            .entry(metadata.callsite())
            .or_insert(Place { metadata, lines: 0 });
        place.lines = place.lines.saturating_add(1);
        place.lines <= LINES_PER_MINUTE_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_kind_of_line_neither_fills_the_log_nor_hides_another() {
        let (limit, lines) = (LogLimit::default(), Lines::default());
        let writer = lines.clone();
        let format = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(limit.clone())
            .with(format);
        let count = |text: &str| {
            let log = lines.0.lock().expect("no panic");
            String::from_utf8_lossy(&log).matches(text).count()
        };
        tracing::subscriber::with_default(subscriber, || {
            let flood = || (0..500).for_each(|n| tracing::warn!(n, "flood"));
            flood();
            tracing::error!("alone");
            (0..500).for_each(|n| tracing::debug!(n, "asked for"));
            assert_eq!(
                (count("flood"), count("alone"), count("asked for")),
                (60, 1, 500)
            );
            limit.begin_minute();
            assert_eq!((count("left out"), count("left_out=440")), (1, 1));
            flood();
            limit.begin_minute();
            limit.begin_minute();
            assert_eq!((count("flood"), count("left out")), (120, 2));
        });
    }
}
