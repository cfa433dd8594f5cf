//! Stateright's Explorer behind the page, driven as a browser does, to a state with a committed entry.

use actorcheck::Limits;
use actorcheck::search::{Outcome as Searched, shortest};
use checked_raft::models::script::Runner;
use checked_raft::models::text::Text;
use checked_raft::models::{Spec, catalogue, mutants};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;

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

    /// The status code and the body.
    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the Explorer listens");
        write!(stream, "{request} HTTP/1.0\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status code"), body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(&format!("GET {path}"));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("the body is JSON")
    }

    /// The state at the end of a path, as the one before it shows it.
    fn step(&self, path: &[usize]) -> Value {
        let (last, before) = path.split_last().expect("a path begins with the first state");
        let steps = self.next(before);
        let step = steps.iter().find(|step| step["actionIndex"] == *last);
        step.expect("the step of that number").clone()
    }

    /// The steps that follow the state at the end of a path.
    fn next(&self, path: &[usize]) -> Vec<Value> {
        let steps = self.get(&format!("/.states/{}", text(path)));
        steps.as_array().expect("steps").clone()
    }
}

/// A path as the page writes it.
fn text(path: &[usize]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

/// Where the page is told that something was found about a property of a step.
fn found(step: &Value, property: &str) -> Value {
    let mut properties = step["properties"].as_array().expect("the properties").iter();
    let property = properties.find(|known| known[1] == property).expect("it is asked");
    property[2].clone()
}

impl Drop for Explorer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn explore(args: &[&str]) -> Output {
    let mut raft = Command::new(env!("CARGO_BIN_EXE_raft"));
    raft.arg("explore").args(args).output().expect("the binary runs")
}

#[test]
fn actions_chosen_by_their_text_lead_to_a_committed_entry() {
    let explorer = Explorer::start(&[]);
    let status = explorer.get("/.status");
    let properties = status["properties"].as_array().expect("the properties");
    assert!(properties.iter().any(|property| property[1] == "Log Matching"));

    let mut path = "/.states/0".to_owned();
    let mut last = Value::Null;
    for wanted in [
        "S0: Election timeout",
        "S0 → S1: RequestVote t1",
        "S1 → S0: RequestVoteResponse t1, granted",
        "S0 → S1: AppendEntries t1",
        "S1 → S0: AppendEntriesResponse t1",
    ] {
        let steps = explorer.get(&path);
        let steps = steps.as_array().expect("the next steps");
        let chosen = steps
            .iter()
            .find(|step| step["action"].as_str().is_some_and(|action| action.starts_with(wanted)));
        last = chosen.unwrap_or_else(|| panic!("no action `{wanted}` at {path}")).clone();
        path = format!("{path}/{}", last["actionIndex"]);
    }

    let state = last["state"].as_str().expect("the state it leads to");
    let leader = state.lines().find(|line| line.starts_with("S0: ")).expect("a line for S0");
    assert!(leader.starts_with("S0: leader t1") && leader.contains("log=[1.noop]"), "{leader}");
    assert!(leader.contains("commit=1"), "{leader}");
    assert!(state.lines().any(|line| line.starts_with("S1: follower t1")), "{state}");
    assert!(state.contains("\n  S0 → S1: AppendEntries"), "{state}");
    let outcome = last["outcome"].as_str().expect("what the step does");
    assert!(outcome.contains("\nS0: ") && outcome.contains("commit 0 ⇨ 1"), "{outcome}");

    let texts = texts(&last);
    for text in
        ["S0", "S1", "S0: Election timeout", "S1 → S0: AppendEntriesResponse t1, match up to 1"]
    {
        assert!(texts.iter().any(|it| it == text), "{text}: {texts:?}");
    }
    let line = |name: &str| {
        let line = texts.iter().find(|text| text.starts_with(name) && text.contains(" vote "));
        line.expect("a line of the server").clone()
    };
    assert!(line("S0").contains("leader    t1  vote S0  commit 1 applied 1"), "{}", line("S0"));
    assert!(line("S0").contains("armed Heartbeat"), "{}", line("S0"));
    assert!(line("S1").contains("follower  t1  vote S0  commit 0 applied 0"), "{}", line("S1"));
    assert!(texts.iter().any(|text| text.contains("violates no property")), "{texts:?}");
    let svg = last["svg"].as_str().expect("the picture");
    let log = |name: &str| {
        let (_, log) = svg.split_once(&format!("id='log-{name}'")).expect("the log of the server");
        log.split_once("</g>").expect("its end").0
    };
    assert_eq!(log("S0").matches(">t1<").count(), 1, "a cell for its entry");
    assert_eq!(
        (log("S0").matches("'commit'").count(), log("S1").matches("'commit'").count()),
        (1, 0)
    );
}

/// The texts of a step's picture, which is well-formed XML.
fn texts(step: &Value) -> Vec<String> {
    let svg = step["svg"].as_str().expect("the picture");
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("each tag ends");
        assert!(!text.contains('\''), "a quote in a text is escaped: {text}");
        let name = tag.split(' ').next().expect("a name");
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "{svg}");
        } else {
            // Between quotes are values, and in front of each is the name of its attribute.
            let quoted: Vec<_> = tag.split('\'').collect();
            assert_eq!(quoted.len() % 2, 1, "each quote is closed: {tag}");
            let names = quoted.iter().step_by(2).take(quoted.len() / 2);
            assert!(names.clone().all(|name| name.ends_with('=')), "{tag}");
            if !tag.ends_with('/') {
                open.push(name.to_owned());
            }
        }
        for entity in text.split('&').skip(1) {
            let (name, _) = entity.split_once(';').expect("an entity ends");
            assert!(["amp", "lt", "gt", "apos"].contains(&name), "{text}");
        }
        if open.last().is_some_and(|it| it == "text") {
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'");
            texts.push(text.replace("&amp;", "&"));
        }
    }
    assert!(open.is_empty(), "{open:?} are never closed");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    texts
}

/// In the picture, the script comes first, and the steps from the model's first state on count from one.
#[test]
fn the_picture_begins_with_the_steps_of_the_script() {
    for name in ["figure-8", "failover"] {
        begins_with_the_script(&catalogue::find(name).expect("a model that starts from a script"));
    }
}

fn begins_with_the_script(spec: &Spec) {
    let explorer = Explorer::start(&[spec.name]);
    let first = texts(&explorer.step(&[0]));
    let started = Spec { prefix: "", ..spec.clone() }.cluster();
    let mut runner = Runner::new(&started, started.started());
    runner.run(spec.prefix).expect("a script");
    let count = runner.steps().len();
    let numbered = |texts: &[String], number: i64| {
        let place = texts.iter().position(|text| *text == number.to_string());
        texts[place.expect("the number of a step") + 1].clone()
    };
    for (n, (action, _)) in (1..).zip(runner.steps()) {
        let number = n - i64::try_from(count).expect("few steps");
        assert_eq!(numbered(&first, number), Text::of(&started).event(action));
    }
    let follows = &explorer.next(&[0])[0];
    let texts = texts(follows);
    assert_eq!(numbered(&texts, 1), follows["action"].as_str().expect("an action"));
    assert_eq!(numbered(&texts, 0), numbered(&first, 0));
    // A client has its line, too, under the name that it has everywhere.
    let clients = started.names.iter().filter(|name| name.starts_with('C'));
    for client in clients {
        assert!(texts.iter().any(|text| text.starts_with(&format!("{client} "))), "{texts:?}");
    }
}

#[test]
fn a_mutant_is_explored_as_one() {
    let mutant = &mutants::catalogue()[0];
    let explorer = Explorer::start(&["--mutant", mutant.name]);
    let status = explorer.get("/.status");
    let always = status["properties"].as_array().expect("the properties");
    let always: Vec<_> = always.iter().filter(|property| property[0] == "Always").collect();
    assert_eq!(always.len(), 1, "only the property that must catch it");
    assert_eq!(always[0][1], mutant.caught_by);
}

/// What the page is told of a state is what the model says of that state, whatever has been discovered
/// elsewhere: nothing before the last state of a counterexample, a violation there.
#[test]
fn the_verdict_on_a_state_of_a_counterexample_is_the_models() {
    // A property of histories, of two servers, and of a step.
    for name in ["count-stale-vote", "vote-for-stale-log", "saved-last"] {
        let mutant = mutants::find(name).expect("a mutant");
        let explorer = Explorer::start(&["--mutant", name]);
        let world = mutant.spec.mutated(mutant.fault, mutant.caught_by);
        let limits = Limits::unlimited(1);
        let never = AtomicBool::new(false);
        let Searched::Found(shortest) = shortest(&world, Some(mutant.caught_by), &limits, &never)
        else {
            panic!("{name} is caught");
        };
        let path: Vec<_> = std::iter::once(0).chain(shortest.indices).collect();
        let judge = || {
            for length in 1..path.len() {
                let step = explorer.step(&path[..length]);
                assert_eq!(found(&step, mutant.caught_by), Value::Null, "{name}: {step}");
            }
            assert_eq!(
                found(&explorer.step(&path), mutant.caught_by),
                text(&path).as_str(),
                "{name}"
            );
            let verdict = format!("{} is violated", mutant.caught_by);
            assert!(texts(&explorer.step(&path)).contains(&verdict), "{name}");
        };
        judge();
        // A run to its end finds one counterexample, which need not be this one.
        assert_eq!(explorer.ask("POST /.runtocompletion").0, 200);
        while explorer.get("/.status")["done"] != true {
            std::thread::yield_now();
        }
        judge();
    }
}

/// Of what must be reachable an example is found in each state that is one, and in no other.
#[test]
fn an_example_is_found_in_the_states_that_are_one() {
    let explorer = Explorer::start(&["election"]);
    let mut path = vec![0];
    for wanted in ["S0: Election timeout", "S0 → S1: RequestVote ", "S1 → S0: RequestVoteResponse"]
    {
        assert_eq!(found(&explorer.step(&path), "a leader is elected"), Value::Null);
        let steps = explorer.next(&path);
        let mut steps = steps.iter();
        let step = steps.find(|it| it["action"].as_str().is_some_and(|it| it.starts_with(wanted)));
        let number = step.expect("that step")["actionIndex"].as_u64().expect("its number");
        path.push(number.try_into().expect("a small one"));
    }
    assert_eq!(found(&explorer.step(&path), "a leader is elected"), text(&path).as_str());
}

#[test]
fn everything_else_is_stateright_s() {
    let explorer = Explorer::start(&["election"]);
    let files = [
        ("/stateright/", "Stateright Explorer"),
        ("/stateright/app.js", "getPropertyForState"),
        ("/app.js", "getPropertyForState"),
    ];
    for (file, text) in files {
        let (status, body) = explorer.ask(&format!("GET {file}"));
        assert!(status == 200 && body.contains(text), "{file}: {status} {body}");
    }
    for wrong in ["GET /nothing", "GET /.states/0/99999", "GET /.states/9", "GET /.states/x"] {
        assert_eq!(explorer.ask(wrong).0, 404, "{wrong}");
    }
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let output = explore(&["--address", &address]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains(&address) && error.contains("--address"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn a_bad_address_or_model_is_a_clear_error() {
    for args in [["--address", "localhost"], ["--address", "127.0.0.1:99999"]] {
        let output = explore(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8(output.stderr).expect("text").contains("invalid socket address"));
    }
    let output = explore(&["no-such-model"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).expect("text").contains("raft models"));
}
