use super::*;

fn task(name: &str) -> Task {
    Task::License(Key::new("design", name))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_task_that_is_pushed_often_waits_once() {
    let mut queue = Queue::default();
    for _ in 0..3 {
        queue.push(task("a"));
    }
    assert_eq!((queue.depth(), queue.pop(at(0)), queue.pop(at(0))), (1, Some(task("a")), None));
}

#[test]
fn a_task_that_is_pushed_while_it_runs_runs_once_more_afterwards() {
    let mut queue = Queue::default();
    queue.push(task("a"));
    let running = queue.pop(at(0)).unwrap();
    queue.push(task("a"));
    queue.push(task("a"));
    assert_eq!(queue.pop(at(0)), None, "never twice at once");
    queue.done(running, Done::At(at(100)), at(0));
    assert_eq!(queue.pop(at(0)), Some(task("a")));
    queue.done(task("a"), Done::Rest, at(0));
    assert_eq!((queue.pop(at(1_000)), queue.next_due()), (None, None));
}

#[test]
fn news_go_before_reviews_which_have_an_end_all_the_same() {
    let mut queue = Queue::default();
    for name in ["r1", "r2", "r3"] {
        queue.review(task(name));
    }
    for name in ["n1", "n2", "n3", "n4", "n5", "r3", "n1"] {
        queue.push(task(name));
    }
    queue.review(task("n5"));
    assert_eq!(queue.depth(), 8, "each waits once");
    let order: Vec<Task> = std::iter::from_fn(|| queue.pop(at(0))).collect();
    assert_eq!(order, ["n1", "n2", "n3", "r1", "n4", "n5", "r3", "r2"].map(task), "r3 has become news");
    assert_eq!(queue.depth(), 0);
    for name in ["n1", "n2"] {
        queue.done(task(name), Done::At(at(10)), at(0));
    }
    queue.done(task("r1"), Done::Rest, at(0));
    queue.push(task("r1"));
    assert_eq!(queue.pop(at(10)), Some(task("r1")), "whose time has come is reviewed");
}

#[test]
fn a_task_comes_back_when_its_time_has_come_and_not_before() {
    let mut queue = Queue::default();
    queue.push(task("a"));
    let running = queue.pop(at(0)).unwrap();
    queue.done(running, Done::At(at(10)), at(0));
    assert_eq!((queue.pop(at(9)), queue.next_due()), (None, Some(at(10))));
    assert_eq!(queue.pop(at(10)), Some(task("a")));
}

#[test]
fn a_next_look_that_is_overdue_does_not_turn_in_circles() {
    let mut queue = Queue::default();
    queue.push(task("a"));
    let running = queue.pop(at(100)).unwrap();
    queue.done(running, Done::At(at(50)), at(100));
    assert_eq!((queue.pop(at(100)), queue.pop(at(101))), (None, Some(task("a"))));
}

#[test]
fn a_push_does_not_wait_for_the_backoff() {
    let mut queue = Queue::default();
    queue.push(task("a"));
    let running = queue.pop(at(0)).unwrap();
    queue.done(running, Done::Failed, at(0));
    assert_eq!(queue.pop(at(0)), None);
    queue.push(task("a"));
    assert_eq!((queue.pop(at(0)), queue.next_due()), (Some(task("a")), None));
}

#[test]
fn nobody_waits_longer_than_an_hour_and_a_clock_that_went_back_is_noticed() {
    let mut queue = Queue::default();
    assert_eq!(queue.wake_at(at(0)), at(3_600), "even if nothing is to come");
    queue.push(task("a"));
    let running = queue.pop(at(0)).unwrap();
    queue.done(running, Done::At(at(10)), at(0));
    assert_eq!(queue.wake_at(at(0)), at(10));
    let year = 31_536_000;
    queue.push(task("a"));
    let running = queue.pop(at(year)).unwrap();
    queue.done(running, Done::At(at(year + 10)), at(year));
    assert_eq!(queue.wake_at(at(20)), at(3_620));
    let told = [0, 10, 5, year, year - 300, 20, 30].map(|now| queue.went_back(at(now)));
    assert_eq!(told, [false, false, false, false, false, true, false]);
}

#[test]
fn failures_of_one_task_wait_longer_and_longer_and_hold_up_no_other() {
    let mut queue = Queue::default();
    let (mut now, mut last) = (at(0), SignedDuration::ZERO);
    for _ in 0..20 {
        queue.push(task("a"));
        let running = queue.pop(now).unwrap();
        queue.done(running, Done::Failed, now);
        let wait = queue.next_due().unwrap().duration_since(now);
        assert!(wait >= last || wait >= LAST_RETRY, "{wait} after {last}");
        assert!(wait <= LAST_RETRY + LAST_RETRY / 4);
        (now, last) = (queue.next_due().unwrap(), wait);
    }
    queue.push(task("b"));
    assert_eq!(queue.pop(at(0)), Some(task("b")));
    queue.push(task("a"));
    let running = queue.pop(now).unwrap();
    queue.done(running, Done::Rest, now);
    queue.push(task("a"));
    let running = queue.pop(now).unwrap();
    queue.done(running, Done::Failed, now);
    assert!(queue.next_due().unwrap().duration_since(now) < SignedDuration::from_secs(1), "success forgives");
}
