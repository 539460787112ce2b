//! Programs in other languages, with their usual JOSE libraries, on the very document that Usher issued.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use crate::ground::{apply, license, shared, wait_for};

#[tokio::test]
async fn four_languages_verify_the_issued_document_and_refuse_it_with_one_byte_changed() {
    let (client, namespace) = shared().namespace().await;
    apply(&client, &namespace, &license(1)).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let secret = wait_for(&secrets, "cad-license", "is there", |_| true).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "usher-system");
    let map = maps.get("usher-authority-default").await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let (document, jwks) = (directory.path().join("license.jws"), directory.path().join("jwks.json"));
    std::fs::write(&document, &secret.data.unwrap()["license.jws"].0).unwrap();
    std::fs::write(&jwks, &map.data.unwrap()["jwks.json"]).unwrap();
    let run = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients/run"))
        .args([&document, &jwks])
        .args(["https://usher.acme.example/a/default", "cad"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    for language in ["python", "node", "go", "rust"] {
        let row = said.lines().find(|line| line.starts_with(language)).unwrap_or_default();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [language, "ok", "refused"], "{said}");
    }
}
