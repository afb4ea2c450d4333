//! Chromium without a window, driven through the pipe of its developer tools: one page at a time,
//! at any size, in any scheme.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What makes it ask nobody for anything and leave nothing behind.
const CHROMIUM_FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --disable-dev-shm-usage --remote-debugging-pipe";
/// A browser that hangs ends after so many seconds, and the test with it.
const TIMEOUT_SECS: &str = "120";

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    last_call_id: u64,
    session: Option<String>,
    /// Events that the browser has sent.
    pub(crate) events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser; fails the test if there is no `chromium` on the PATH.
    pub(crate) fn start() -> Self {
        let version = Command::new("chromium").arg("--version").output();
        version.expect("chromium must be on the PATH: apt-get install chromium");
        let profile = tempfile::tempdir().unwrap();
        // The pipe is expected at the descriptors 3 and 4, which a shell can give and the standard
        // library cannot.
        let script = format!(
            "exec chromium {CHROMIUM_FLAGS} --user-data-dir=\"$0\" 3<&0 4>&1 </dev/null >/dev/null \
             2>&1"
        );
        let mut process = Command::new("timeout")
            .args([TIMEOUT_SECS, "sh", "-c", &script])
            .arg(profile.path())
            // Some of what it keeps it would keep in the home directory, wherever its profile is.
            .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, profile.path())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Self {
            process,
            stdin: to,
            stdout: from,
            last_call_id: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &attach)["sessionId"]
            .as_str()
            .unwrap()
            .to_owned();
        browser.session = Some(session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Makes the page think that it is on a medium, `screen` or `print`, and in light or dark.
    pub(crate) fn emulate(&mut self, medium: &str, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", &json!({"media": medium, "features": [feature]}));
    }

    /// Opens a file in a window of this width, in light or dark, and forgets earlier events.
    pub(crate) fn open(&mut self, path: &Path, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        self.emulate("screen", scheme);
        self.events.clear();
        self.call(
            "Page.navigate",
            &json!({"url": url::Url::from_file_path(path).unwrap().as_str()}),
        );
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.read_message();
            self.events.push(event);
        }
    }

    /// What an expression comes to in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self
            .call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        assert_eq!(answer["exceptionDetails"], Value::Null, "{answer}");
        answer["result"]["value"].clone()
    }

    /// One command and its result; events that come meanwhile are kept.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_call_id += 1;
        let mut command = json!({"id": self.last_call_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.stdin.as_mut().unwrap().write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = self.read_message();
            if message["id"] == json!(self.last_call_id) {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn read_message(&mut self) -> Value {
        let mut message = Vec::new();
        self.stdout.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Browser {
    /// It ends when nobody is at the other end of its pipe any more.
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.process.wait();
    }
}
