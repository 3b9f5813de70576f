//! A recorder of metrics and a subscriber of `tracing` that a test can read.
#![allow(clippy::allow_attributes, clippy::unwrap_used, unreachable_pub, reason = "helpers of a test are tests")]

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};

/// Metrics by their name and labels, as Prometheus writes them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    values: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
    described: Arc<Mutex<Vec<String>>>,
}

impl Metrics {
    /// All counters that are more than 0.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let values = self.values.lock().unwrap();
        let read = values.iter().map(|(name, value)| (name.clone(), value.load(Ordering::SeqCst)));
        read.filter(|(name, value)| *value > 0 && !name.starts_with("gauge ")).collect()
    }

    pub fn gauge(&self, name: &str) -> Option<f64> {
        let values = self.values.lock().unwrap();
        values.get(&format!("gauge {name}")).map(|bits| f64::from_bits(bits.load(Ordering::SeqCst)))
    }

    /// Whether it was registered, at whatever value.
    pub fn has(&self, name: &str) -> bool {
        self.values.lock().unwrap().keys().any(|known| known.trim_start_matches("gauge ").starts_with(name))
    }

    pub fn is_described(&self, name: &str) -> bool {
        self.described.lock().unwrap().iter().any(|described| described == name)
    }

    fn value(&self, name: String) -> Arc<AtomicU64> {
        Arc::clone(self.values.lock().unwrap().entry(name).or_default())
    }

    fn describe(&self, name: &KeyName) {
        self.described.lock().unwrap().push(name.as_str().to_owned());
    }
}

fn text(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    if labels.is_empty() { key.name().to_owned() } else { format!("{}{{{}}}", key.name(), labels.join(",")) }
}

impl metrics::Recorder for Metrics {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(text(key)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(format!("gauge {}", text(key))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Lines of `tracing`: `DEBUG axum_caching: miss key="a" reason="absent"`.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").unwrap();
        } else {
            write!(self.others, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("axum_caching")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let about = event.metadata();
        let line = format!("{} {}: {}{}", about.level(), about.target(), fields.message, fields.others);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
