//! A cluster of the real server, in which one case after the other is lived through, called by two engines.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dovetail::engine::restate::{Cluster, Way, migrate};
use dovetail::store::Store;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use url::Url;

use crate::hands::life::{Folder, in_words};
use crate::stage::cluster;

pub struct Nodes {
    // Its nodes end before their folder goes.
    cluster: cluster::Cluster,
    runtime: Runtime,
    client: reqwest::Client,
    _folder: Folder,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, form: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        form.write_str("Nodes")
    }
}

impl Nodes {
    /// None: the program of the server is not here.
    pub fn start(count: usize) -> Option<Nodes> {
        cluster::server()?;
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (folder, client) = (Folder::new(), reqwest::Client::builder().no_proxy().build().unwrap());
        std::fs::create_dir_all(&folder.0).unwrap();
        let cluster = runtime.block_on(cluster::Cluster::start(&folder.0, count, &client));
        Some(Nodes { cluster, runtime, client, _folder: folder })
    }

    /// How a process reaches it, and is reached; in the runtime of that.
    pub fn reached(&self) -> Cluster {
        let [ingress, admin] = self.cluster.doors().map(|urls| urls.iter().map(|url| url.parse().unwrap()).collect());
        let objects = self.cluster.objects();
        let deployment: Url = format!("http://{objects}").parse().unwrap();
        let keys = vec![cluster::IDENTITY.to_owned()];
        Cluster { ingress, admin, listener: listener(objects.parse().unwrap()), deployment, keys }
    }

    /// What is in a folder becomes the cluster's.
    pub fn take_over(&self, folder: &Path) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let moved = runtime.block_on(async {
            let store = Store::open_for_now(folder).map_err(in_words)?;
            let moved = migrate(Way::In, self.reached(), &store, folder, |_| {}).await;
            store.close().await;
            moved.map(drop).map_err(in_words)
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        moved
    }

    /// The cluster forgets what it keeps.
    pub fn forget(&self) {
        self.runtime.block_on(async {
            loop {
                let known = "SELECT id, status FROM sys_invocation WHERE target_service_name LIKE 'Dovetail%'";
                let calls = self.cluster.query(&self.client, known).await;
                let kept = "SELECT DISTINCT service_name, service_key FROM state WHERE service_name LIKE 'Dovetail%'";
                let objects = self.cluster.query(&self.client, kept).await;
                if calls.is_empty() && objects.is_empty() {
                    return;
                }
                for call in calls {
                    let what = if call["status"] == "completed" { "purge" } else { "kill" };
                    self.admin("PATCH", &format!("invocations/{}/{what}", text(&call["id"])), &Value::Null).await;
                }
                for object in objects {
                    let asked = json!({ "object_key": object["service_key"], "new_state": {} });
                    self.admin("POST", &format!("services/{}/state", text(&object["service_name"])), &asked).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// What is gone meanwhile need not be forgotten.
    async fn admin(&self, method: &str, path: &str, asked: &Value) {
        let url = format!("{}/{path}", self.cluster.doors()[1][0]);
        let request = self.client.request(method.parse().unwrap(), url);
        let request = if asked.is_null() { request } else { request.json(asked) };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success() || answer.status() == 404, "{path}: {}", answer.status());
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Several may listen at one address, as the processes of a machine do.
fn listener(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1_024).unwrap()
}
