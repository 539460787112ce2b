//! What becomes of the pods of one owner, and of their slots.

use super::*;

/// What becomes of the pods of one owner, and of their slots.
struct Story {
    kind: Kind,
    there: Vec<Pod>,
    held: Vec<Held>,
}

impl Story {
    fn of(kind: Kind) -> Self {
        Self { kind, there: Vec::new(), held: Vec::new() }
    }

    /// Pods come: `name` or `name@revision`, each with a UID of its own. `name@` is of none.
    fn come(&mut self, pods: &[&str]) -> &mut Self {
        for (number, pod) in pods.iter().enumerate() {
            let (name, revision) = pod.split_once('@').unwrap_or((pod, "1"));
            let uid = Uid(format!("{name}-{number}-{}-{}", self.there.len(), self.held.len()));
            let revision = Some(Uid(revision.to_owned())).filter(|revision| !revision.0.is_empty());
            self.there.push(Pod { uid, name: name.to_owned(), revision, terminating: false });
        }
        self
    }

    fn pod(&mut self, name: &str) -> &mut Pod {
        self.there.iter_mut().rfind(|pod| pod.name == name).unwrap()
    }

    fn terminate(&mut self, pods: &[&str]) -> &mut Self {
        pods.iter().for_each(|name| self.pod(name).terminating = true);
        self
    }

    fn go(&mut self, pods: &[&str]) -> &mut Self {
        for name in pods {
            let uid = self.pod(name).uid.clone();
            self.there.retain(|pod| pod.uid != uid);
        }
        self
    }

    /// The pod activates, as the runtime records it.
    fn activate(&mut self, name: &str) -> (Slot, Way) {
        let own = self.pod(name).clone();
        let (slot, way) = slot(self.kind, &own, &self.there, &self.held);
        if way == Way::Fork {
            return (slot, way);
        }
        if way == Way::TakesOver {
            let others = self.there.iter().filter(|pod| pod.uid != own.uid);
            let alive: Vec<&Uid> = others.map(|pod| &pod.uid).collect();
            self.held.retain(|held| held.slot != slot || alive.contains(&&held.pod));
        }
        self.held.push(Held { slot: slot.clone(), pod: own.uid });
        (slot, way)
    }

    fn all(&mut self, pods: &[&str]) -> Vec<(Slot, Way)> {
        pods.iter().map(|name| self.activate(name)).collect()
    }

    /// How many places are taken.
    fn places(&self) -> usize {
        let mut slots: Vec<&Slot> = self.held.iter().map(|held| &held.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.len()
    }
}

fn number(number: u32, way: Way) -> (Slot, Way) {
    (Slot::Number(number), way)
}

fn three() -> Story {
    let mut story = Story::of(Kind::Other);
    story.come(&["a", "b", "c"]).all(&["a", "b", "c"]);
    assert_eq!(story.places(), 3);
    story
}

#[test]
fn a_container_that_is_started_again_is_the_same_installation() {
    let mut story = three();
    for _ in 0..5 {
        assert_eq!(story.activate("b"), number(1, Way::TakesOver));
    }
    assert_eq!((story.places(), story.held.len()), (3, 3));
}

#[test]
fn a_deployment_that_is_rolled_one_by_one_never_takes_a_place_more() {
    let mut story = three();
    for (comes, goes, slot) in [("d", "a", 0), ("e", "b", 1), ("f", "c", 2)] {
        assert_eq!(
            story.come(&[&format!("{comes}@2")]).activate(comes),
            number(slot, Way::Shares),
            "{comes}"
        );
        story.terminate(&[goes]).go(&[goes]);
        assert_eq!(story.places(), 3);
    }
    // And once more, with nothing left of the first time.
    assert_eq!(story.come(&["g@3"]).activate("g"), number(0, Way::Shares));
    assert_eq!(story.places(), 3);
}

#[test]
fn a_slot_is_shared_by_two_and_no_more() {
    let mut story = three();
    story.come(&["d@2"]).activate("d");
    assert_eq!(story.come(&["e@3"]).activate("e"), number(1, Way::Shares), "both of the first one leave");
}

#[test]
fn a_container_that_is_started_again_keeps_its_slot_though_another_is_free() {
    let mut story = three();
    story.come(&["d@2"]).activate("d");
    assert_eq!(story.go(&["b"]).activate("d"), number(0, Way::TakesOver));
    assert_eq!(story.held.iter().filter(|held| held.slot == Slot::Number(0)).count(), 2, "a lives on");
}

#[test]
fn a_deployment_that_is_rolled_all_at_once_shares_each_slot_once() {
    let mut story = three();
    story.come(&["d@2", "e@2", "f@2", "g@2"]);
    let ways = story.all(&["d", "e", "f", "g"]);
    let shares = |slot| number(slot, Way::Shares);
    assert_eq!(ways, [shares(0), shares(1), shares(2), number(3, Way::New)], "the fourth is one more");
}

#[test]
fn a_deployment_that_is_made_anew_takes_over() {
    let mut story = three();
    story.terminate(&["a", "b", "c"]).go(&["a", "b", "c"]).come(&["d@2", "e@2"]);
    assert_eq!(story.all(&["d", "e"]), [number(0, Way::TakesOver), number(1, Way::TakesOver)]);
    assert_eq!(story.places(), 3, "the third goes when its document ends");
}

#[test]
fn a_node_is_drained_and_who_comes_shares_while_the_former_terminates() {
    let mut story = three();
    story.terminate(&["b"]).come(&["d"]);
    assert_eq!(story.activate("d"), number(1, Way::Shares));
    story.go(&["b"]).come(&["e"]);
    assert_eq!(story.activate("e"), number(3, Way::New), "the slot has its pod again");
}

#[test]
fn a_rollout_that_is_taken_back_shares_with_whoever_leaves_now() {
    let mut story = three();
    story.come(&["d@2"]).activate("d");
    story.go(&["a"]).come(&["e"]);
    assert_eq!(story.activate("e"), number(0, Way::Shares));
    assert_eq!(story.go(&["d"]).places(), 3);
}

#[test]
fn scaled_up_it_takes_places_and_scaled_down_and_up_the_same_ones() {
    let mut story = three();
    assert_eq!(story.come(&["d"]).activate("d"), number(3, Way::New));
    story.go(&["b", "d"]).come(&["e", "f", "g"]);
    let ways = story.all(&["e", "f", "g"]);
    assert_eq!(ways, [number(1, Way::TakesOver), number(3, Way::TakesOver), number(4, Way::New)]);
}

#[test]
fn pods_of_a_stateful_set_are_known_by_their_names() {
    let mut story = Story::of(Kind::StatefulSet);
    story.come(&["web-0", "web-1"]);
    let name = |name: &str, way| (Slot::Name(name.to_owned()), way);
    assert_eq!(story.all(&["web-1", "web-0"]), [name("web-1", Way::New), name("web-0", Way::New)]);
    story.terminate(&["web-1"]).go(&["web-1"]).come(&["web-1@2"]);
    assert_eq!(story.activate("web-1"), name("web-1", Way::TakesOver));
    assert_eq!(story.places(), 2);
    // Two at once are never there; were they, one would be a copy.
    assert_eq!(story.come(&["web-1"]).activate("web-1"), name("web-1", Way::Fork));
}

#[test]
fn a_pod_by_itself_is_itself() {
    let mut story = Story::of(Kind::Pod);
    assert_eq!(story.come(&["a"]).activate("a"), (Slot::Only, Way::New));
    assert_eq!(story.activate("a"), (Slot::Only, Way::TakesOver));
}

#[test]
fn a_job_that_tries_again_takes_over_from_the_pod_that_failed() {
    let mut story = Story::of(Kind::Other);
    assert_eq!(story.come(&["try-1"]).activate("try-1"), number(0, Way::New));
    story.go(&["try-1"]).come(&["try-2"]);
    assert_eq!(story.activate("try-2"), number(0, Way::TakesOver));
}

#[test]
fn where_nothing_rolls_nobody_leaves_who_is_not_told_to() {
    let mut story = Story::of(Kind::Other);
    story.come(&["night-1@", "night-2@"]);
    let ways = story.all(&["night-1", "night-2"]);
    assert_eq!(ways, [number(0, Way::New), number(1, Way::New)], "two run beside each other");
    assert_eq!(
        story.come(&["x@1"]).activate("x"),
        number(2, Way::New),
        "nor is it rolled to something that rolls"
    );
    assert_eq!(story.terminate(&["night-1"]).come(&["night-3@"]).activate("night-3"), number(0, Way::Shares));
}

#[test]
fn a_virtual_machine_is_one_in_whatever_pod_it_runs_and_while_it_moves() {
    let mut story = Story::of(Kind::VirtualMachine);
    assert_eq!(story.come(&["source"]).activate("source"), (Slot::Only, Way::New));
    assert_eq!(story.come(&["target"]).activate("target"), (Slot::Only, Way::TakesOver));
    let (source, target) = (story.pod("source").clone(), story.pod("target").clone());
    assert_eq!(speaker(Kind::VirtualMachine, &source.uid, &target, &story.there), Speaker::Itself);
}

#[test]
fn whoever_speaks_for_a_slot_whose_pod_is_alive_is_a_copy_of_it() {
    let mut story = three();
    let (a, b) = (story.pod("a").clone(), story.pod("b").clone());
    let speaks = |story: &Story| speaker(Kind::Other, &a.uid, &b, &story.there);
    assert_eq!(speaker(Kind::Other, &a.uid, &a, &story.there), Speaker::Itself);
    assert_eq!(speaks(&story), Speaker::Copy);
    assert_eq!(speaks(story.terminate(&["a"])), Speaker::Copy, "it is alive until it is gone");
    assert_eq!(speaks(story.go(&["a"])), Speaker::Successor);
}
