use super::*;

#[test]
fn what_happened_is_in_the_text() {
    let metrics = Metrics::default();
    metrics.looked("License", "rest", 0.01);
    metrics.committed(3, 2, 1);
    metrics.session("refused");
    metrics.called("refreshActivation", "nonce-used", 0.002);
    metrics.forked(ClonePolicy::Quarantine);
    let text = metrics.text();
    assert!(text.contains(r#"usher_reconciles_total{kind="License",outcome="rest"} 1"#), "{text}");
    assert!(text.contains(r#"usher_sessions_total{outcome="refused"} 1"#), "{text}");
    assert!(text.contains(r#"usher_sessions_total{outcome="over"} 0"#), "{text}");
    assert!(text.contains(r#"usher_forks_total{policy="Quarantine"} 1"#), "{text}");
    assert!(text.contains(r#"usher_forks_total{policy="Refuse"} 0"#), "{text}");
    let called = r#"usher_calls_total{call="refreshActivation",code="nonce-used"} 1"#;
    assert!(text.contains(called), "{text}");
    assert!(text.contains(r#"usher_call_seconds_count{call="refreshActivation"} 1"#), "{text}");
    assert!(text.contains("usher_documents_signed_total 3"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_failure_can_be_seen_to_rise_from_nothing() {
    let text = Metrics::default().text();
    for kind in KINDS {
        let line = format!(r#"usher_reconciles_total{{kind="{kind}",outcome="failed"}} 0"#);
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn of_what_stands_otherwise_now_nothing_is_left() {
    let metrics = Metrics::default();
    let before = Census { licenses: [(Standing::of(&[]), 2)].into(), ..Census::default() };
    metrics.counted(&before);
    assert!(metrics.text().contains(r#"usher_licenses{state="Unknown",reason="Unknown"} 2"#));
    metrics.counted(&Census::default());
    assert!(!metrics.text().contains("usher_licenses{"), "{}", metrics.text());
}
