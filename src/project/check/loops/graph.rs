//! A graph whose edges carry a mark: what is knotted together, and the shortest way.

use std::collections::VecDeque;

/// Vertices are numbers from 0.
#[derive(Default)]
pub(super) struct Graph {
    /// By vertex: where an edge leads, and its mark.
    edges: Vec<Vec<(usize, usize)>>,
}

/// The mark of an edge that says nothing.
pub(super) const PLAIN: usize = usize::MAX;

impl Graph {
    pub fn new(vertices: usize) -> Self {
        Self { edges: vec![Vec::new(); vertices] }
    }

    pub fn vertex(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    pub fn add(&mut self, from: usize, to: usize, mark: usize) {
        self.edges[from].push((to, mark));
    }

    /// By vertex, the number of its knot: two vertices lead to each other where the numbers are equal. Linear in the
    /// edges.
    ///
    /// Tarjan's strongly connected components, without recursion: a chain of workflows may be long.
    pub fn knots(&self) -> Vec<usize> {
        const UNSEEN: usize = usize::MAX;
        let count = self.edges.len();
        let (mut order, mut low) = (vec![UNSEEN; count], vec![UNSEEN; count]);
        let mut knot = vec![UNSEEN; count];
        let (mut seen, mut knots) = (0, 0);
        let mut open: Vec<usize> = Vec::new();
        for root in 0..count {
            if order[root] != UNSEEN {
                continue;
            }
            // A vertex, and how many of its edges were followed.
            let mut way = vec![(root, 0)];
            while let Some((here, followed)) = way.last_mut() {
                let here = *here;
                if *followed == 0 && order[here] == UNSEEN {
                    (order[here], low[here]) = (seen, seen);
                    seen += 1;
                    open.push(here);
                }
                if let Some((next, _)) = self.edges[here].get(*followed) {
                    *followed += 1;
                    if order[*next] == UNSEEN {
                        way.push((*next, 0));
                    } else if knot[*next] == UNSEEN {
                        low[here] = low[here].min(order[*next]);
                    }
                    continue;
                }
                way.pop();
                if let Some((before, _)) = way.last() {
                    low[*before] = low[*before].min(low[here]);
                }
                if low[here] == order[here] {
                    while let Some(member) = open.pop() {
                        knot[member] = knots;
                        if member == here {
                            break;
                        }
                    }
                    knots += 1;
                }
            }
        }
        knot
    }

    /// The shortest way, as the edges that it takes: where each leads, and its mark. None if there is none.
    pub fn shortest(&self, from: usize, to: usize) -> Option<Vec<(usize, usize)>> {
        let mut reached: Vec<Option<(usize, usize)>> = vec![None; self.edges.len()];
        let mut waiting = VecDeque::from([from]);
        while let Some(here) = waiting.pop_front() {
            if here == to {
                let mut way = Vec::new();
                let mut at = to;
                while at != from {
                    let (before, mark) = reached[at]?;
                    way.push((at, mark));
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            for (next, mark) in &self.edges[here] {
                if *next != from && reached[*next].is_none() {
                    reached[*next] = Some((here, *mark));
                    waiting.push_back(*next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(count: usize, edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::new(count);
        edges.iter().enumerate().for_each(|(mark, (from, to))| graph.add(*from, *to, mark));
        graph
    }

    #[test]
    fn what_leads_to_each_other_is_one_knot() {
        let graph = graph(6, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (4, 5)]);
        let knots = graph.knots();
        assert!(knots[0] == knots[1] && knots[1] == knots[2]);
        assert!(knots[3] == knots[4]);
        assert!(knots[0] != knots[3] && knots[5] != knots[3] && knots[5] != knots[0]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let count = 200_000;
        let edges: Vec<(usize, usize)> = (0..count).map(|at| (at, (at + 1) % count)).collect();
        let graph = graph(count, &edges);
        assert!(graph.knots().iter().all(|knot| *knot == 0));
        assert_eq!(graph.shortest(1, 0).map(|way| way.len()), Some(count - 1));
    }

    #[test]
    fn the_shortest_way_is_taken() {
        let graph = graph(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        assert_eq!(graph.shortest(0, 3), Some(vec![(3, 3)]));
        assert_eq!(graph.shortest(0, 2), Some(vec![(1, 0), (2, 1)]));
        assert_eq!(graph.shortest(0, 0), Some(Vec::new()));
        assert_eq!(graph.shortest(3, 0), None);
    }
}
