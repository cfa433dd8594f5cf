//! The exhaustive engine: a search over tuples of local states, for any stateright actors.
//!
//! It takes the [`World`](super::World) that stateright's checkers and the Explorer take, never names
//! Raft, and reaches exactly the (local states, ghost) that a search over whole states reaches. Five
//! ideas make it small.
//!
//! # 1. Run each handler once (`tables.rs`, `handlers.rs`)
//!
//! An actor is a deterministic function of its local state and one event. Local states, messages,
//! ghosts and what handlers do are interned by value and compared exactly, so nothing that is said rests on a
//! hash: two values may differ and be hashed alike, as stateright's sets are, side by side in a struct. Each
//! pair of local state and event is run once. A global state is then a few numbers, the *tuple* `t` of the
//! local states and the ghost, and a set `N` of messages.
//!
//! # 2. Keep the maximal sets only (`store.rs`)
//!
//! The network loses, duplicates and reorders without bound, so `N` only grows, and a step needs one
//! local state and at most one message of `N`. What `(t, N)` can do, `(t, N')` can do for every `N' ⊇ N`,
//! and the sets after the step are again one in the other: `(t, N')` *simulates* `(t, N)`. It is enough to
//! keep for each tuple the maximal sets, an antichain (this is the antichain algorithm for
//! well-structured transition systems). A step that changes neither a local state nor the ghost only
//! adds messages; it is taken at once, where the message arrives or its receiver changes, since the state
//! with them simulates the one without.
//!
//! What makes it true, and where that is enforced:
//!
//! - *A step is enabled by one local state and at most one message*, and adds messages only: so
//!   `World` is built. Dropping a message leads to a simulated state, so no step does. A world of another
//!   network, or with crashes of its own, is refused ([`World::refusal`](super::World::refusal)).
//! - *Nothing that is asked sees the network*, by type: properties, bounds and ghosts get a
//!   [`View`](super::View), a [`Change`](super::Change) or an [`Output`](super::Output).
//! - *A ghost is a function of the changes of local states*, by type: it gets a `Change`, which has
//!   neither the message nor what was sent, and none if the actor does not change. So it does not matter
//!   which message changed the actor, and a message-only step leaves the ghost.
//! - *Handlers are pure.* The engine cannot see that; `tests/tidy.rs` and clippy keep clocks, random
//!   sources and hash orders out of ours.
//!
//! # 3. Leave out what cannot matter any more (`relevance.rs`)
//!
//! Two sets that differ only in a late vote of a term that everybody has left are two maximal states,
//! and histories multiply: of the maximal states of three servers in three terms, 13 of 14 were of that
//! kind. So a message is kept only while it is *relevant*.
//!
//! Let `R(l)` be the local states that an actor can reach from `l` by the steps seen. A message `m` before
//! an actor in `l` is
//!
//! - *hard* at `l` if in some `l' ∈ R(l)` it changes the actor, or what it makes it send violates a
//!   property, or is a message that was never sent so far;
//! - otherwise *soft* at `l`, with all that it makes the actor send in any `l' ∈ R(l)`, if that is
//!   anything;
//! - otherwise *nothing* at `l`.
//!
//! In a tuple `t`, `m` is relevant if it is hard at its receiver's local state, or soft there with some
//! message that is hard or soft at *its* receiver's. To know, every message is tried on every local state
//! that was reached, whether or not the two ever meet; what such a trial leads to is not explored. Handlers
//! and properties of outputs need not be made for what never meets: where a trial panics (`trial.rs`), the
//! message is hard there. Should it be met after all, the panic is one of the world, and reaches the caller.
//!
//! **What is left out does nothing.** Write `Rel(t)` for the relevant messages. (a) A step of `t` to `t'`
//! moves one actor from `l` to `l'`, `R(l') ⊆ R(l)`, so what is hard or soft there was hard or soft before,
//! with at least as much to send: `Rel(t') ⊆ Rel(t)`. (b) Delivering `m ∉ Rel(t)` changes no actor, violates
//! no property, and sends only messages that are not in `Rel(t)`.
//!
//! **So the same tuples are reached.** Write `(t, N) ≤ (t, N')` if each message of `N ∩ Rel(t)` is in `N'`,
//! or does the same at its receiver's local state as a message in `N'` (is *one* with it, idea 5; then both
//! are in `Rel(t)`, so `≤` is transitive), and call a state *covered* if a stored one is above it, or above
//! it renamed (idea 4). If
//!
//! 1. the first state is covered,
//! 2. each stored state is covered after all messages are added that its actors can send without changing,
//!    by themselves or in answer, and
//! 3. whatever a stored state leads to by a step is covered,
//!
//! then every state that a full search reaches is covered, by induction over its steps. Let `(t, N)` be
//! covered by `(t, N')`, and take its next step. If it needs a message that is not in `Rel(t)`, by (b) `t`
//! stays and nothing relevant is added. Otherwise `(t, N')` takes it as well, or one that does the same.
//! If that only sends, the state after it is covered by 2. If it leads to `t'`, by (a) the state after it
//! is below the one that `(t, N')` leads to, which is covered by 3.
//!
//! So each state that is stored is expanded: it is added again with all that is sent at once, and what all
//! its steps lead to is added, each time without what is not relevant. Something is added unless a stored
//! state is above it, and then those below it are removed.
//!
//! `R` is known only when the search has ended. So `Rel` is a *hypothesis*: the first comes from surveys
//! that fire each step a few times, and everything it does not know is relevant. From time to time, and
//! when all is expanded, `Rel` is taken again from all steps seen. Where something is relevant that was not
//! thought to be, the hypothesis is *refuted*. Nothing is called EXHAUSTIVE under a hypothesis that does not
//! hold by all steps seen when the search has ended. A state that was reached can be reached whatever the
//! hypothesis was, with these messages at least, so a violation needs none.
//!
//! **What rests on a refuted hypothesis is done again** (`search.rs` `repair`, `refuted.rs`). A hypothesis
//! speaks of each local state by itself: it is refuted in `l` if there some message matters more than was
//! thought, or was taken for one (idea 5) with something that it is not one with. If it is refuted in no
//! local state of `t`, then in `t` the better one leaves out, and takes for one, at least as much; so what
//! was left out there still may be, and what was above another state still is. What was made of a stored
//! state `(t, N)` speaks of `t` and of tuples one step on. So if the hypothesis is refuted in a local state
//! of `t`, or in one that a step leads to from a local state of `t`, all states of `t` are expanded again,
//! with names given anew; and the first state is added again. Of each other state that has been expanded 2
//! and 3 hold still. They held then; and what was above what was added then, or is above what was removed
//! since, is so by every hypothesis since, as none was refuted in these tuples. (Nor in what they are renamed
//! to, idea 4, since a hypothesis does not tell interchangeable actors apart.)
//!
//! **The counts are canonical.** The tuples are those of a full search. The maximal states are counted
//! under the final `Rel`, which depends only on the local states and messages that can be reached, so their
//! number does not depend on threads, on order, or on which hypotheses were refuted on the way.
//!
//! # 4. Visit one state of each orbit (`orbits.rs`, `canon.rs`)
//!
//! A world may say that some actors are interchangeable ([`Symmetry`](super::Symmetry)): a set of
//! permutations of actors and what each does to values. Two states of which one is the other renamed are
//! in one *orbit*, and of an orbit one state is visited.
//!
//! What that needs, and how it is found out if it is not so:
//!
//! - *The permutations are a group, and renaming is its action.* Renaming is done once, when a value is
//!   interned, and with the value its whole orbit is interned. What a value is under each permutation is
//!   noted for all of the orbit, and noting two different things panics.
//! - *Handlers are equivariant*: a renamed actor does the same, renamed. With each handler call that is a
//!   step all that it can be renamed to is run as well, and compared: what the actor becomes, what it
//!   puts out, which properties of outputs that breaks. So are the change of the ghost and the properties
//!   of changes. What a trial of idea 3 would lead to is not interned, so it cannot be renamed; what is
//!   thought because of it is compared: which messages matter, and which are one (`equivariance.rs`).
//! - *Bounds and properties are invariant*: whatever part of a tuple is judged, all its images are judged
//!   too, and compared. Only where there are more than 24 permutations, those of four actors, a whole tuple
//!   is compared with fewer images, those under permutations that generate the group: a property of whole
//!   tuples that tells five actors apart in one image only could stay hidden. Where a way to recovery ends
//!   is renamed by all permutations and judged as well; where there is none, none may be found when
//!   renamed.
//!
//! So each permutation maps steps to steps and violations to violations, and a search that visits one
//! state of each orbit meets all orbits. In an orbit the state with the least tuple is visited, local
//! states in the order of their orbits first. The permutations that lead to it are one times the
//! *stabiliser*, those that leave that tuple as it is; for the message sets of the state any of these may be
//! taken, so a state is left out also if it is below another one renamed by the stabiliser.
//!
//! Only permutations that leave the first state as it is are used, and at most 720 of these, those of six
//! actors: what is known of values grows with their number. Then what is reachable is closed under them,
//! and the counts of the full search are known: a tuple stands for as many as the group has permutations,
//! divided by those of its stabiliser. The counts that are reported and pinned are these, with or without
//! symmetry.
//!
//! The least tuple is told by numbers, which are given in the order of discovery, so which state of an orbit
//! is visited may differ between two searches; within one it does not, since a whole orbit gets its
//! numbers at once. Nothing that is reported depends on it. The search for a counterexample uses no
//! symmetry: its path is a real one.
//!
//! # 5. Take messages that do the same for one (`merging.rs`)
//!
//! To a follower that has the first entry it makes no difference whether AppendEntries brings it once more
//! or says only that the leader's log goes on behind it: the answer is the same. Write `m ~ m'` at `l` if
//! in every `l' ∈ R(l)` both do the same: the actor comes to the same local state, the same is sent, the
//! same properties of outputs are violated, or nothing happens. Where a step leads from `l` to `l'`, `R(l')
//! ⊆ R(l)`, so what is one at `l` is one at `l'`.
//!
//! A state with `m` and one with `m'` in its place, or with both, therefore do the same: whatever
//! happens to the one happens to the other, change for change, which is all that a ghost sees. So of
//! messages that are one only one that was sent is kept, the least of those that are there. States are
//! compared by the *names* of their messages: the least of all messages, sent or not, that are one with it.
//! What is kept was sent, so nothing is reached that cannot be.
//!
//! This, too, rests on `R` and is said of each local state by itself. So it is part of the hypothesis, which
//! is refuted in a local state in which two messages were taken for one that the steps seen tell apart;
//! and what rests on that is done again. In all other tuples a state that simulated another still does: a
//! message was one with its name when that was given, and is by each hypothesis since that is not refuted
//! there. So equal names mean messages that are one, also if they were given at different times.
//!
//! Surveys merge nothing, nor does a search for coverage, whose labels tell messages apart, nor the search
//! for a counterexample.
//!
//! What deliveries do is compared by value, too (`effects.rs`). Two that panic are one: if either is met,
//! that ends the search.
//!
//! # In which order
//!
//! The order in which tuples are expanded changes nothing that is counted, but how often. Steps mostly
//! raise the sum of the numbers of local states, which are given in the order of discovery; so the tuple
//! with the least sum comes first, and most tuples are expanded once, when all that leads there has been.
//! Where actors go in circles a tuple comes up again and again, each time with many states, most of which
//! are soon below others that have more messages. So of a tuple only the latest state is expanded, before
//! others have their turn.
//!
//! Limits and interruptions are looked at between two steps, and in whatever takes long between two rounds.
//! Work that was not done then waits, and a checkpoint keeps it.
//!
//! # What may be asked
//!
//! Properties of states (judged once for each tuple, or for the part of it that they look at), of changes
//! (once for each change and ghost) and of outputs (once for each handler call): every step that is
//! generated is judged, also one into a known state or out of bounds. Not: anything about messages in
//! flight, and no temporal property. After an exhausted search also whether any group of actors has come
//! to a dead end (`recovery.rs`).
//!
//! # Memory
//!
//! For `n` actors a tuple takes `4(n + 1)` bytes for its numbers, 4 for the head of its list and about 10
//! in an index; a maximal state takes `8n` bytes for its sets, as they are and by names, and 4 for its
//! link. Sets of messages are bit sets, shared: far fewer than states. Handler calls, local states and
//! ghosts are few; each thread remembers those it has met, also from one hypothesis to the next. Tuples,
//! states, sets and the index come to 75 to 160 bytes for each state visited. What is known of handlers,
//! with a number for each permutation of each local state and message, comes on top, and is most of it
//! where symmetry leaves few states (`benches/README.md`).
//!
//! # How it is tested
//!
//! `tests/reduction.rs`: on the small models of the catalogue the tuples are those that stateright's search
//! meets, and on random systems of small actors those of a plain search over whole states, which compares
//! values; and so are the verdicts, those on recovery among them. This is so with a poor survey, so that
//! hypotheses are refuted, and of searches that are put down again and again. `tests/symmetry.rs`: with and
//! without symmetry models and random systems have the same counts and verdicts, and worlds that are not
//! symmetric are found out. `tests/catalogue.rs` pins both counts of every model, but for the deep ones,
//! whose counts `raft check --deep` compares.

mod bits;
mod caller;
mod canon;
mod checkpoint;
mod effects;
mod equivariance;
mod handlers;
mod intern;
mod judge;
mod local;
mod merging;
mod normal;
mod orbits;
mod panics;
mod recovery;
mod refuted;
mod relevance;
mod report;
mod search;
mod sets;
mod shared;
mod store;
mod symmetry;
mod tables;
pub(super) mod trace;
mod trial;
mod worker;

pub use checkpoint::{CheckpointError, Checkpoints};
pub(super) use recovery::is_dead_end;
pub use search::{explore, explore_and_visit, explore_by, explore_with_checkpoints};
