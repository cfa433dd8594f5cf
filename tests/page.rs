//! The page: files that `--html` writes, and the server of `raft explore`.

use checked_raft::models::mutants;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn raft(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raft")).args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the output is text")
}

/// The page in a file.
fn page(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the page")
}

/// The scene in a page.
fn scene(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"scene\">").expect("the page has a scene");
    let (data, _) = rest.split_once("</script>").expect("the scene ends");
    serde_json::from_str(data).expect("the scene is JSON")
}

fn frames(scene: &Value) -> &Vec<Value> {
    scene["frames"].as_array().expect("frames")
}

fn last(scene: &Value) -> &Value {
    frames(scene).last().expect("a frame")
}

/// The names of the properties that are broken at the end of a scene.
fn broken(scene: &Value) -> Vec<&str> {
    let broken = last(scene)["verdict"]["broken"].as_array().expect("a list").iter();
    broken.map(|it| it["property"].as_str().expect("a name")).collect()
}

/// Nothing in a page makes a browser ask another host for anything.
fn assert_stands_by_itself(page: &str) {
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for (at, _) in page.match_indices("://") {
        let address = &page[at - 5..(at + 20).min(page.len())];
        let is_known = ["http://www.w3.org/2000/", "http://127.0.0.1:3000/"];
        assert!(is_known.iter().any(|known| address.contains(&known[..20])), "{address}");
    }
    for fetching in ["<script src", "<img", "<iframe", "@import", "url(", "import("] {
        assert!(!page.contains(fetching), "{fetching}");
    }
    assert_eq!(page.matches("<script").count(), 2, "the data and the code");
    assert_eq!(page.matches("<link").count(), page.matches("href=\"data:,\"").count());
}

#[test]
fn the_page_of_a_counterexample_tells_the_story_of_the_mutant_and_ends_with_the_verdict() {
    let directory = tempfile::tempdir().expect("there is room");
    for name in ["vote-not-persisted", "commit-older-term", "sessions-not-installed"] {
        let mutant = mutants::find(name).expect("a mutant");
        let path = directory.path().join(format!("{name}.html"));
        let file = path.to_str().expect("text");
        let output = raft(&["check", "--mutant", name, "--html", file]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(&format!("{file} shows it")));
        let page = page(&path);
        assert_stands_by_itself(&page);
        let scene = scene(&page);
        assert_eq!(scene["kind"], "counterexample");
        assert_eq!(scene["mutant"]["story"], mutant.story);
        assert_eq!(scene["mutant"]["difference"], mutant.difference);
        assert_eq!(scene["violates"], mutant.caught_by);
        assert!(broken(&scene).contains(&mutant.caught_by), "{name}: {:?}", broken(&scene));
        let steps = frames(&scene).iter().filter(|frame| frame["kind"] == "step").count();
        let words = text(&output.stdout);
        assert!(words.contains(&format!("in {steps} steps")), "{name}: {steps} steps");
        let differs = scene["differs"]["frame"].as_u64().expect("it differs from correct servers");
        assert!(usize::try_from(differs).expect("small") < frames(&scene).len());
        assert!(scene["rules"][mutant.breaks].as_str().is_some_and(|it| it.len() > 20), "{name}");
    }
}

#[test]
fn a_model_that_holds_has_no_page() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("page.html");
    let output = raft(&["check", "election", "--html", path.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("There is no counterexample to show"));
    assert!(!path.exists());
    let nowhere = directory.path().join("no/such/directory.html");
    let nowhere = nowhere.to_str().expect("text");
    let output = raft(&["check", "--mutant", "vote-not-persisted", "--html", nowhere]);
    assert_eq!(output.status.code(), Some(1), "the violation counts more");
    assert!(text(&output.stderr).contains("name another file with --html FILE"));
}

#[test]
fn the_page_of_a_script_has_each_of_its_steps_with_its_comments() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("page.html");
    let file = path.to_str().expect("text");
    let output = raft(&["play", "tests/scenarios/figure_8.txt", "--html", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = page(&path);
    assert_stands_by_itself(&page);
    let scene = scene(&page);
    assert_eq!(scene["title"], "figure 8");
    assert!(scene["about"].as_str().is_some_and(|about| about.starts_with("Figure 8, section")));
    let comments = frames(&scene).iter().filter_map(|frame| frame["comment"].as_str());
    assert!(comments.into_iter().any(|it| it.contains("In (b) S1 crashes; S5 is elected leader")));
    // Each arrow begins in the frame that sent the message.
    for frame in frames(&scene) {
        let event = &frame["event"];
        let Some(sent) = event["sent"].as_u64() else { continue };
        let from = &frames(&scene)[usize::try_from(sent).expect("small")];
        let sent = from["sent"].as_array().expect("a list");
        let is_it = |it: &Value| it["to"] == event["actor"] && it["message"] == event["message"];
        assert!(sent.iter().any(is_it), "{from} does not send what {frame} gets");
    }
    // What the page gives back as a script takes the same steps.
    let again = directory.path().join("again.txt");
    let script = scene["copies"]["script"].as_str().expect("a script");
    std::fs::write(&again, script).expect("it can be written");
    let output = raft(&["play", again.to_str().expect("text"), "--html", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let copy = self::scene(&self::page(&path));
    let words =
        |scene: &Value| frames(scene).iter().map(|it| it["text"].clone()).collect::<Vec<_>>();
    assert_eq!(words(&copy), words(&scene));
}

/// `raft explore` on a free port; ends with the test.
struct Explorer {
    process: Child,
    address: String,
}

impl Explorer {
    fn start(args: &[&str]) -> Self {
        let mut raft = Command::new(env!("CARGO_BIN_EXE_raft"));
        raft.args(["explore", "--address", "127.0.0.1:0"]).args(args).stdout(Stdio::piped());
        let mut process = raft.spawn().expect("the binary runs");
        let output = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines().map(|line| line.expect("text"));
        let line = lines.find(|line| line.contains("http://")).expect("it says where it serves");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { process, address: address.expect("an address").to_owned() }
    }

    /// The status code and the body of an answer.
    fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let length = body.len();
        let request = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it takes the head");
        // The server may refuse a body that it has not read.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status code"), body.to_owned())
    }

    fn ask(&self, question: &str, script: &str) -> (u16, Value) {
        let address = &self.address;
        let head =
            format!("POST /api/{question} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}");
        let (status, body) = self.send(&head, script);
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
    }

    fn scene(&self, script: &str) -> Value {
        let (status, scene) = self.ask("scene", script);
        assert_eq!(status, 200, "{scene}");
        scene
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The steps that can follow a scene.
fn next(scene: &Value) -> &Vec<Value> {
    last(scene)["next"].as_array().expect("the steps that can follow")
}

/// The command of the step of this kind whose words contain a text.
fn command(scene: &Value, kind: &str, what: &str) -> String {
    let found = next(scene).iter().find(|it| {
        it["kind"] == kind && it["command"].as_str().is_some_and(|command| command.contains(what))
    });
    let found = found.unwrap_or_else(|| panic!("no `{kind}` of `{what}` in {:?}", next(scene)));
    found["command"].as_str().expect("a command").to_owned()
}

#[test]
fn clicks_deliver_lose_time_out_and_restart() {
    let explorer = Explorer::start(&["election"]);
    let (status, page) = explorer.send("GET / HTTP/1.1\r\nHost: localhost", "");
    assert_eq!(status, 403, "a Host needs the port: {page}");
    let own = format!("GET / HTTP/1.1\r\nHost: {}", explorer.address);
    let (status, page) = explorer.send(&own, "");
    assert!(status == 200 && page.contains("id=\"live\""));
    assert_stands_by_itself(&page);

    let mut script = "model election\nstart\n".to_owned();
    let take = |script: &mut String, kind: &str, what: &str| {
        let command = command(&explorer.scene(script), kind, what);
        *script += &(command + "\n");
    };
    take(&mut script, "timeout", "S0 Election");
    take(&mut script, "deliver", "S0 S1 RequestVote");
    take(&mut script, "restart", "S1");
    take(&mut script, "deliver", "S1 S0 RequestVoteResponse");
    let scene = explorer.scene(&script);
    assert_eq!(last(&scene)["states"]["0"]["role"], "leader");
    assert!(last(&scene)["rules"].as_array().expect("a list").contains(&"CAN-2".into()));
    assert!(scene["rules"]["CAN-2"].as_str().is_some_and(|it| it.contains("become leader")));
    assert_eq!(last(&scene)["verdict"]["recovers"], "yes");
    assert_eq!(last(&scene)["verdict"]["examples"][0], "a leader is elected");
    // A message that has arrived can arrive again; here that has no effect.
    let again = next(&scene).iter().find(|it| it["kind"] == "redeliver" && it["actor"] == 0);
    assert_eq!(again.expect("the vote")["has_effect"], false);
    // The other request for a vote is lost: it is offered no more, until that is undone.
    let lost = next(&scene).iter().find_map(|it| it["lose"].as_str()).expect("one to lose");
    let parts: Vec<_> = lost.splitn(4, ' ').collect();
    let [_, from, to, message] = parts[..] else { panic!("{lost}") };
    let without = explorer.scene(&format!("{script}{lost}\n"));
    assert_eq!(last(&without)["lost"][0]["message"], message);
    let route = format!("{from} {to} {message}");
    let is_offered = |scene: &Value| {
        next(scene).iter().any(|it| it["command"].as_str().is_some_and(|it| it.ends_with(&route)))
    };
    assert!(is_offered(&scene) && !is_offered(&without), "{route}");
}

#[test]
fn a_step_beyond_a_bound_is_told_and_stateright_s_explorer_is_at_the_same_state() {
    let explorer = Explorer::start(&["election"]);
    let script = "model election\nstart\ntimeout S0\n";
    let scene = explorer.scene(script);
    assert_eq!(last(&scene)["beyond"].as_array().map(Vec::len), Some(0));
    let path = scene["path"].as_str().expect("a path");
    let (status, steps) =
        explorer.send(&format!("GET /.states/{path} HTTP/1.1\r\nHost: {}", explorer.address), "");
    assert!(status == 200 && steps.contains("S0 → S1: RequestVote t1"), "{status} {steps}");
    let beyond = explorer.scene(&format!("{script}timeout S0\n"));
    assert_eq!(last(&beyond)["beyond"][0], "max_term=1");
}

#[test]
fn a_mutant_is_told_apart_and_its_own_model_can_be_played_with_correct_servers() {
    let explorer = Explorer::start(&["--mutant", "vote-not-persisted"]);
    let (status, found) = explorer.ask("counterexample", "mutant vote-not-persisted\n");
    assert_eq!(status, 200, "{found}");
    let script = found["script"].as_str().expect("a script");
    let scene = explorer.scene(script);
    assert!(broken(&scene).contains(&"Election Safety"));
    assert_eq!(scene["differs"]["frame"], 1, "its disk lacks the vote");
    let (status, way) = explorer.ask("way", script);
    assert_eq!(status, 200, "{way}");
    assert!(way["sentence"].as_str().is_some_and(|it| it.contains("recover by themselves in")));

    let correct = script.replacen("vote-not-persisted\n", "vote-not-persisted\ncorrect\n", 1);
    let scene = explorer.scene(&correct);
    assert!(broken(&scene).is_empty() && scene["mutant"].is_null());
    assert_eq!(scene["header"], "mutant vote-not-persisted\ncorrect\n");
}

#[test]
fn a_model_is_exhausted_while_one_looks() {
    let explorer = Explorer::start(&["election"]);
    let (status, known) = explorer.ask("exhaustion", "model election\n");
    assert!(status == 200 && known["state"] == "none" && known["is_quick"] == true, "{known}");
    let mut known = explorer.ask("exhaust", "model election\n").1;
    while known["state"] == "running" {
        known = explorer.ask("exhaustion", "model election\n").1;
    }
    assert_eq!((&known["state"], &known["tuples"]), (&"exhausted".into(), &999.into()), "{known}");
    let (_, deep) = explorer.ask("exhaustion", "model five-servers-restarts\n");
    let sentence = deep["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.contains("389,914,970 tuples: too many to exhaust while you look"),
        "{sentence}"
    );
}

#[test]
fn what_does_not_fit_gets_a_sentence() {
    let explorer = Explorer::start(&["election"]);
    let scene = explorer.scene("model election\nstart\ntimeout S0\ndeliver S0 S9\n");
    let sentence = scene["stuck"]["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("Line 4, `deliver S0 S9`, cannot be executed: `S9` is none of"));
    assert!(sentence.contains("Possible here: "), "{sentence}");
    assert_eq!(frames(&scene).len(), 2, "what came before is shown");
    for (script, part) in [
        ("timeout S0\n", "does not say on which model"),
        ("model electoin\n", "there is no model `electoin`; the nearest names are `election`"),
        ("model a\nmodel b\n", "line 2: `model b`: a header says `model` once"),
    ] {
        let (status, answer) = explorer.ask("scene", script);
        let error = answer["error"].as_str().expect("a sentence");
        assert!(status == 422 && error.contains(part), "{error}");
    }
    assert_eq!(explorer.ask("nothing", "").0, 404);
}

#[test]
fn foreign_pages_and_large_bodies_are_refused() {
    let explorer = Explorer::start(&["election"]);
    let own = &explorer.address;
    let port = own.rsplit(':').next().expect("a port");
    for head in [
        format!("POST /api/scene HTTP/1.1\r\nHost: {own}\r\nOrigin: http://evil.example"),
        format!("POST /api/scene HTTP/1.1\r\nHost: {own}\r\nOrigin: null"),
        format!("POST /api/scene HTTP/1.1\r\nHost: evil.example:{port}"),
        format!("POST /.runtocompletion HTTP/1.1\r\nHost: {own}\r\nOrigin: http://evil.example"),
    ] {
        let (status, body) = explorer.send(&head, "model election\n");
        assert!(status == 403 && body.contains("This server answers"), "{head}: {status} {body}");
    }
    let large = "# much\n".repeat(60_000);
    let (status, answer) = explorer.ask("scene", &large);
    assert_eq!(
        (status, answer["error"].as_str()),
        (413, Some("The script is too long: at most 256 KiB are read."))
    );
    let (status, _) = explorer.send(&format!("GET /api/scene HTTP/1.1\r\nHost: {own}"), "");
    assert_eq!(status, 405);
}

#[test]
fn a_script_file_is_where_the_page_begins() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("script.txt");
    std::fs::write(&path, "model terms\nstart\ntimeout S1\n").expect("it can be written");
    let explorer = Explorer::start(&["--script", path.to_str().expect("text")]);
    let (_, page) = explorer.send(&format!("GET / HTTP/1.1\r\nHost: {}", explorer.address), "");
    assert!(page.contains("model terms\\nstart\\ntimeout S1\\n"));
    std::fs::write(&path, "model no-such-model\n").expect("it can be written");
    let output = raft(&["explore", "--script", path.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("script.txt: there is no model `no-such-model`"));
}

/// The page gives a path back as a test, and that test stands below.
#[test]
fn the_page_writes_a_test_that_passes() {
    let explorer = Explorer::start(&["election"]);
    let script = "mutant vote-not-persisted\nstart\ntimeout S0\ntimeout S1\ndeliver S0 S2\n\
                  deliver S2 S0\nrestart S2\ndeliver S1 S2\ndeliver S2 S1\n";
    let scene = explorer.scene(script);
    let written = scene["copies"]["test"].as_str().expect("a test");
    let own = include_str!("common/written_by_the_page.rs");
    assert_eq!(own.split_once("\n\n").expect("a head").1.trim(), written.trim());
}

#[path = "common/written_by_the_page.rs"]
mod written;
