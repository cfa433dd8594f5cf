//! The exhaustive engine and its search, generic over stateright actors.
