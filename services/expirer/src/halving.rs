//! How a batch that is refused is taken apart: by halves, until what is at fault stands alone; or until it is plain that
//! everything is refused, which says more about the services than about the holds. Pure.

use std::{collections::BinaryHeap, ops::Range};

/// After so many single holds, spread over the batch, have been refused and nothing was settled, the rest is not tried.
const HOPELESS: usize = 8;

/// The parts of a batch, told by the places of their holds.
#[derive(Debug)]
pub(crate) struct Halving {
    /// What comes next: half of what was refused last, so that a single hold is soon reached.
    next: Option<Range<usize>>,
    /// What comes then, the largest part first: length and start.
    waiting: BinaryHeap<(usize, usize)>,
    settled: bool,
    refused_alone: usize,
}

impl Halving {
    /// Of a batch of so many holds, which is asked about as a whole first.
    pub(crate) fn new(count: usize) -> Self {
        Self { next: Some(0..count), waiting: BinaryHeap::new(), settled: false, refused_alone: 0 }
    }

    /// The part to ask about now.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        self.next.take().or_else(|| self.waiting.pop().map(|(length, start)| start..start + length))
    }

    /// A part is settled.
    pub(crate) fn settled(&mut self) {
        self.settled = true;
    }

    /// A part is refused: it goes by halves. Answers false if it has none, and must fail.
    pub(crate) fn split(&mut self, part: &Range<usize>) -> bool {
        if part.len() < 2 {
            self.refused_alone += 1;
            return false;
        }
        let middle = part.start + part.len() / 2;
        self.next = Some(part.start..middle);
        self.waiting.push((part.end - middle, middle));
        true
    }

    /// Whether everything seems to be refused.
    pub(crate) fn is_hopeless(&self) -> bool {
        !self.settled && self.refused_alone >= HOPELESS
    }

    /// Takes what has not been asked about.
    pub(crate) fn take_rest(&mut self) -> Vec<Range<usize>> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Settles all but the bad ones. Returns the settled, the failed, and the number of calls.
    fn run(count: usize, bad: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut settled, mut failed, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut halving = Halving::new(count);
        while let Some(part) = halving.next() {
            calls += 1;
            if !part.clone().any(|place| bad.contains(&place)) {
                halving.settled();
                settled.extend(part);
            } else if !halving.split(&part) {
                failed.extend(part);
                if halving.is_hopeless() {
                    failed.extend(halving.take_rest().into_iter().flatten());
                }
            }
        }
        settled.sort_unstable();
        failed.sort_unstable();
        (settled, failed, calls)
    }

    #[test]
    fn a_storm_of_refusals_costs_few_calls() {
        let (settled, failed, calls) = run(5_000, &(0..5_000).collect());
        assert_eq!((settled.len(), failed.len()), (0, 5_000));
        assert!(calls <= 100, "{calls}");
    }

    #[test]
    fn many_bad_ones_side_by_side_do_not_make_everything_hopeless() {
        let (settled, failed, _) = run(500, &(0..400).collect());
        assert_eq!(failed, (0..400).collect::<Vec<_>>());
        assert_eq!(settled, (400..500).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn the_bad_fail_and_the_good_are_settled(
            count in 0..300_usize,
            places in prop::collection::btree_set(0..300_usize, 0..HOPELESS),
        ) {
            let bad: BTreeSet<_> = places.into_iter().filter(|place| *place < count).collect();
            let (settled, failed, _) = run(count, &bad);
            prop_assert_eq!(&failed, &bad.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(settled, (0..count).filter(|place| !bad.contains(place)).collect::<Vec<_>>());
        }
    }
}
