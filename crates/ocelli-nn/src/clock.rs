//! Where the time of a pass goes.

use std::time::{Duration, Instant};

/// What one operation of a [timed](crate::Pass::timed) pass took.
#[derive(Clone, Debug, PartialEq)]
pub struct OpTime {
    /// The layer's path.
    pub path: String,
    /// What it does.
    pub op: &'static str,
    /// Its forward pass.
    pub forward: Duration,
    /// Its way back.
    pub backward: Duration,
}

/// The times of a pass so far. An operation is timed from the end of the one before it, so that all add up.
#[derive(Debug)]
pub(crate) struct Clock {
    last: Instant,
    /// Per operation its time, and where its nodes on the tape end.
    ops: Vec<(OpTime, usize)>,
}

impl Clock {
    pub fn start() -> Self {
        Self { last: Instant::now(), ops: Vec::new() }
    }

    /// An operation has ended, and the tape has so many nodes.
    pub fn forward(&mut self, path: &str, op: &'static str, nodes: usize) {
        let now = Instant::now();
        let forward = now - self.last;
        let time = OpTime { path: path.to_string(), op, forward, backward: Duration::ZERO };
        self.ops.push((time, nodes));
        self.last = now;
    }

    /// The way back over a node of the tape took so long.
    pub fn backward(&mut self, node: usize, time: Duration) {
        let after = self.ops.partition_point(|(_, end)| *end <= node);
        if let Some((op, _)) = self.ops.get_mut(after) {
            op.backward += time;
        }
    }

    pub fn times(&self) -> Vec<OpTime> {
        self.ops.iter().map(|(op, _)| op.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_over_a_node_belongs_to_who_made_it() {
        let mut clock = Clock::start();
        clock.forward("a", "Conv", 1);
        clock.forward("b", "BatchNorm", 1);
        clock.forward("c", "Add", 3);
        let [one, ten] = [1, 10].map(Duration::from_secs);
        clock.backward(0, one);
        clock.backward(1, ten);
        clock.backward(2, one);
        // What no operation made is nobody's.
        clock.backward(3, one);
        let back: Vec<_> = clock.times().into_iter().map(|op| op.backward.as_secs()).collect();
        assert_eq!(back, [1, 0, 11]);
    }
}
