//! The chart with all that is off by default, applied to an API server that knows all of it.

use serde_json::Value;

use super::CHART;
use crate::ground::{Ground, helm, root};

const VALUES: &[&str] = &[
    "serviceMonitor.enabled=true",
    "serviceMonitor.labels={\"release\": \"prometheus\"}",
    "prometheusRule.enabled=true",
    "prometheusRule.labels={\"release\": \"prometheus\"}",
    "namespaces=[\"design\"]",
    "ledger.postgres.existingSecret=\"usher-database\"",
    "replicas=2",
    "networkPolicy.clients=[{\"ipBlock\": {\"cidr\": \"10.0.0.0/8\"}}]",
    "networkPolicy.metricsFrom=[{\"namespaceSelector\": {\"matchLabels\": {\"name\": \"monitoring\"}}}]",
    "networkPolicy.extraEgress=[{\"ports\": [{\"port\": 8080, \"protocol\": \"TCP\"}]}]",
    "crds.enabled=false",
];

/// What is written wrong, and what the API server says.
const WRONG: &[(&str, &str, &str)] = &[
    ("    scheme: https\n", "    shceme: https\n", ".spec.endpoints[0].shceme: field not declared in schema"),
    ("    interval: 30s\n", "    interval: often\n", "spec.endpoints[0].interval"),
    (
        "      serverName: usher",
        "      servername: usher",
        ".spec.endpoints[0].tlsConfig.servername: field not declared in schema",
    ),
    (
        "key: ca.crt}}",
        "keys: ca.crt}}",
        ".spec.endpoints[0].tlsConfig.ca.configMap.keys: field not declared in schema",
    ),
    ("  for: 5m\n", "  fro: 5m\n", ".spec.groups[name=\"usher\"].rules[0].fro: field not declared in schema"),
    (
        "expr: absent(",
        "expression: absent(",
        ".spec.groups[name=\"usher\"].rules[0].expression: field not declared in schema",
    ),
    ("  podSelector:\n", "  podSelectors:\n", ".spec.podSelectors: field not declared in schema"),
    (
        "{port: ops, protocol: TCP}",
        "{prot: ops, protocol: TCP}",
        ".spec.ingress[1].ports[0].prot: field not declared in schema",
    ),
    ("\"cidr\":\"10.0.0.0/8\"", "\"cidr\":\"10.0.0.0\"", "spec.ingress[0].from[0].ipBlock.cidr"),
];

/// Whether `part` is in `whole`, label by label.
fn selects(part: &Value, whole: &Value) -> bool {
    let labels = part.as_object().unwrap();
    !labels.is_empty() && labels.iter().all(|(name, value)| &whole[name] == value)
}

#[test]
fn the_chart_with_everything_on_is_taken_by_an_api_server_that_knows_all_of_it() {
    let ground = Ground::bare();
    let definitions = root().join("tests/fixtures/monitoring.yaml");
    ground.kubectl(&["apply", "-f", definitions.to_str().unwrap()]);
    ground.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    for namespace in ["usher-system", "design"] {
        ground.kubectl(&["create", "namespace", namespace]);
    }
    let mut arguments = vec!["template", "usher", CHART, "-n", "usher-system"];
    arguments.extend(VALUES.iter().flat_map(|value| ["--set-json", value]));
    let (ok, text) = helm(&arguments, None);
    assert!(ok, "{text}");
    let apply = |text: &str, more: &[&str]| {
        ground
            .try_kubectl(&[&["apply", "--server-side", "--validate=strict", "-f", "-"], more].concat(), text)
    };
    for (right, wrong, sentence) in WRONG {
        assert!(text.contains(right), "{right} is not in the chart");
        let (ok, said) = apply(&text.replacen(right, wrong, 1), &["--dry-run=server"]);
        assert!(!ok && said.contains(sentence), "{wrong}: {said}");
    }
    let (ok, said) = apply(&text, &[]);
    assert!(ok, "{said}");

    let get = |object: &[&str]| -> Value {
        let text = ground.kubectl(&[&["get", "-n", "usher-system", "-o", "json"], object].concat());
        serde_json::from_str(&text).unwrap()
    };
    // What is named leads somewhere: an API server does not ask.
    let (deployment, policy) = (get(&["deployment", "usher"]), get(&["networkpolicy", "usher"]));
    let pod = &deployment["spec"]["template"];
    assert!(selects(&policy["spec"]["podSelector"]["matchLabels"], &pod["metadata"]["labels"]));
    let of_pod = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    let ingress = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(ingress.len(), 2, "{policy}");
    for port in ingress.iter().flat_map(|rule| rule["ports"].as_array().unwrap()) {
        assert!(
            of_pod.iter().any(|of_pod| of_pod["name"] == port["port"]),
            "no port {} in {pod}",
            port["port"]
        );
    }
    let monitor = get(&["servicemonitor", "usher"]);
    let services = get(&["services"]);
    let selected = services["items"].as_array().unwrap().iter().filter(|service| {
        selects(&monitor["spec"]["selector"]["matchLabels"], &service["metadata"]["labels"])
    });
    let selected: Vec<&Value> = selected.collect();
    assert_eq!(selected.len(), 1, "{monitor} selects {selected:?}");
    let ports = selected[0]["spec"]["ports"].as_array().unwrap();
    assert!(ports.iter().any(|port| port["name"] == monitor["spec"]["endpoints"][0]["port"]), "{ports:?}");
    let rules = get(&["prometheusrule", "usher"])["spec"]["groups"][0]["rules"].clone();
    assert!(rules.as_array().unwrap().len() > 5, "{rules}");
}
