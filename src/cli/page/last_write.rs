//! A store that always answers: the replicas of [`LastWrite`] take writes alone, and the last write wins.
//!
//! It stands beside a story of Raft, to show what the choice costs. Cassandra resolves conflicting writes in
//! this way. It is a simulation of a few lines: no model checks it, and nothing deploys it.

use std::collections::BTreeMap;

/// The replicas, by name. Each holds, of each key, the value with the latest time.
#[derive(Default)]
pub(super) struct LastWrite {
    replicas: BTreeMap<String, BTreeMap<String, Timed>>,
}

/// A value, and the time that the clock of its writer gave it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Timed {
    time: u64,
    value: String,
}

impl LastWrite {
    /// Obeys an order and says what the replicas answer:
    ///
    /// ```text
    /// write S0 x=new at 2     S0 takes the value, with the time 2
    /// read S1 x               S1 answers with its own value
    /// exchange S0 S1 S2       these replicas tell each other what they have
    /// ```
    pub(super) fn obey(&mut self, order: &str) -> Result<String, String> {
        let words: Vec<_> = order.split_whitespace().collect();
        match &words[..] {
            ["write", replica, pair, "at", time] => self.write(replica, pair, time),
            ["read", replica, key] => Ok(self.read(replica, key)),
            ["exchange", replicas @ ..] if replicas.len() > 1 => Ok(self.exchange(replicas)),
            _ => Err("an order is `write S0 KEY=VALUE at TIME`, `read S0 KEY` or `exchange S0 S1`"
                .to_owned()),
        }
    }

    fn write(&mut self, replica: &str, pair: &str, time: &str) -> Result<String, String> {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("`{pair}` is no KEY=VALUE"))?;
        let time = time.parse().map_err(|error| format!("the time `{time}`: {error}"))?;
        self.take(replica, key, Timed { time, value: value.to_owned() });
        Ok(format!("{replica} answers that {key}={value} is written."))
    }

    fn read(&self, replica: &str, key: &str) -> String {
        match self.replicas.get(replica).and_then(|values| values.get(key)) {
            Some(Timed { value, .. }) => format!("{replica} answers {key}={value}."),
            None => format!("{replica} answers that {key} is absent."),
        }
    }

    fn exchange(&mut self, replicas: &[&str]) -> String {
        let known = replicas.iter().filter_map(|replica| self.replicas.get(*replica));
        let all: Vec<_> = known.flatten().map(|(key, it)| (key.clone(), it.clone())).collect();
        for replica in replicas {
            for (key, timed) in &all {
                self.take(replica, key, timed.clone());
            }
        }
        let held = replicas.first().and_then(|replica| self.replicas.get(*replica));
        let values = held.into_iter().flatten().map(|(key, it)| format!("{key}={}", it.value));
        let values = values.collect::<Vec<_>>().join(", ");
        let named = replicas.join(" ");
        if values.is_empty() {
            format!("{named} have nothing.")
        } else {
            format!("{named} now hold {values}.")
        }
    }

    /// The last write wins. Of two with one time, the greater value does.
    fn take(&mut self, replica: &str, key: &str, timed: Timed) {
        let values = self.replicas.entry(replica.to_owned()).or_default();
        if values.get(key).is_none_or(|held| *held < timed) {
            values.insert(key.to_owned(), timed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LastWrite;

    fn told(orders: &[&str]) -> String {
        let mut store = LastWrite::default();
        let answers = orders.iter().map(|order| store.obey(order).expect(order));
        answers.last().expect("there is an order")
    }

    #[test]
    fn both_sides_of_a_cut_answer_and_the_earlier_write_is_lost() {
        let cut =
            ["write S0 x=new at 2", "exchange S0 S1", "write S3 x=other at 3", "exchange S2 S3 S4"];
        let asked = |more: &[&'static str]| told(&[&cut[..], more].concat());
        assert_eq!(asked(&["read S1 x"]), "S1 answers x=new.");
        assert_eq!(asked(&["read S4 x"]), "S4 answers x=other.");
        let healed = "exchange S0 S1 S2 S3 S4";
        assert_eq!(asked(&[healed]), "S0 S1 S2 S3 S4 now hold x=other.");
        assert_eq!(asked(&[healed, "read S0 x"]), "S0 answers x=other.");
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let mut store = LastWrite::default();
        for order in ["", "write S0 x at 1", "write S0 x=1 at noon", "exchange S0", "read S0"] {
            store.obey(order).expect_err(order);
        }
    }
}
