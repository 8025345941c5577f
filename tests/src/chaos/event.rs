//! What happens in a round, from a seed.

use std::time::Duration;

use super::brokers::Fall;

/// Processes of the application.
pub const PROCESSES: usize = 3;

/// Who is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A process of the application, by number.
    Process(usize),
    /// The broker.
    Broker,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It ends, and is started again.
    Down(Fall),
    /// It stands still for longer than the session time-out, and goes on.
    Freeze,
}

/// One thing done to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who is hit.
    pub target: Target,
    /// How.
    pub blow: Blow,
    /// How long that lasts.
    pub lasts: Duration,
}

/// A round: events that begin at once, and how long to look on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// What happens.
    pub events: Vec<Event>,
    /// How long nothing else happens.
    pub pause: Duration,
    /// Whether every output partition has to have moved before the next round; else it comes on the heels of this one.
    pub settles: bool,
}

/// Draws rounds: the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as this seed wants.
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `below` (SplitMix64).
    fn number(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.number(to - from))
    }

    fn process(&mut self) -> Target {
        Target::Process(self.number(PROCESSES as u64) as usize)
    }

    fn fall(&mut self) -> Fall {
        if self.number(3) == 0 { Fall::Stop } else { Fall::Kill }
    }

    /// So many rounds from a seed.
    pub fn rounds(seed: u64, count: usize) -> Vec<Round> {
        let mut dice = Self::new(seed);
        (0..count).map(|_| dice.round()).collect()
    }

    /// The next round.
    fn round(&mut self) -> Round {
        let events = match self.number(100) {
            0..40 => vec![self.kill()],
            40..47 => vec![self.stop()],
            47..62 => vec![self.freeze()],
            62..82 => vec![self.broker()],
            82..88 => (0..PROCESSES)
                .map(|number| self.down(Target::Process(number)))
                .collect(),
            88..94 => vec![self.kill(), self.broker()],
            _ => {
                let frozen = self.freeze();
                let other = self.kill();
                let apart = frozen.target != other.target;
                if apart {
                    vec![frozen, other]
                } else {
                    vec![frozen, self.broker()]
                }
            }
        };
        Round {
            events,
            pause: self.millis(100, 1000),
            settles: self.number(3) > 0,
        }
    }

    fn kill(&mut self) -> Event {
        let target = self.process();
        self.down(target)
    }

    fn down(&mut self, target: Target) -> Event {
        Event {
            target,
            blow: Blow::Down(Fall::Kill),
            lasts: self.millis(0, 800),
        }
    }

    fn stop(&mut self) -> Event {
        Event {
            target: self.process(),
            blow: Blow::Down(Fall::Stop),
            lasts: self.millis(0, 800),
        }
    }

    fn freeze(&mut self) -> Event {
        Event {
            target: self.process(),
            blow: Blow::Freeze,
            lasts: self.millis(3500, 7500),
        }
    }

    fn broker(&mut self) -> Event {
        Event {
            target: Target::Broker,
            blow: Blow::Down(self.fall()),
            lasts: self.millis(0, 1200),
        }
    }
}

impl Round {
    /// What kind of round this is, for the tally.
    pub fn kind(&self) -> &'static str {
        match self.events.as_slice() {
            [event] => match (event.target, event.blow) {
                (Target::Broker, Blow::Down(Fall::Stop)) => "broker stopped",
                (Target::Broker, _) => "broker killed",
                (_, Blow::Down(Fall::Stop)) => "process stopped",
                (_, Blow::Down(Fall::Kill)) => "process killed",
                (_, Blow::Freeze) => "process frozen",
            },
            _ => "several at once",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_rounds_and_every_kind_of_them() {
        let rounds = |seed| Dice::rounds(seed, 300);
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
        let kinds: std::collections::BTreeSet<_> = rounds(7).iter().map(Round::kind).collect();
        assert_eq!(kinds.len(), 6, "{kinds:?}");
    }
}
