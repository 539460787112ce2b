//! `usher agent` behind a proxy.

use super::{Scene, agent::Machine, for_devices};
use crate::ground::{proxy::Proxy, served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_through_the_proxy_that_is_named_or_that_of_the_environment() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let authority = served().url.strip_prefix("https://").unwrap();
    let (named, other) = (Proxy::new().await, Proxy::new().await);
    for (state, option) in [("one", Some(&named.url)), ("two", None)] {
        let mut command = machine.command(state, "lab-3", &[]);
        if let Some(proxy) = option {
            command.args(["--proxy", proxy]);
        }
        let other = &other.url;
        command.args(["--", "true"]).env("HTTPS_PROXY", other).env_remove("NO_PROXY").env_remove("no_proxy");
        let ran = command.output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    }
    for proxy in [named, other] {
        let asked = proxy.asked();
        assert!(!asked.is_empty() && asked.iter().all(|to| to == authority), "{asked:?}");
    }
}
