------------------------------ MODULE Clients -------------------------------
(* The operations of the clients of the configurations, all on one key. *)
Command(command) == [kind |-> "command", command |-> command]
Query(query) == [kind |-> "query", query |-> query]
Transfer(to) == [kind |-> "transfer", to |-> to]

Create == Command(<<"Cas", "none", "1">>)
Put1 == Command(<<"Put", "1">>)
Get == Command(<<"Get">>)
Read == Query(<<"Get">>)

NoClients == <<>>
OneCreates == << <<Create>> >>
OnePuts == << <<Put1>> >>
OnePutsAndGets == << <<Put1, Get>> >>
TwoClients == << <<Create>>, <<Get>> >>
OneReads == << <<Read>> >>
OnePutsAndReads == << <<Put1, Read>> >>
OneTransfers == << <<Transfer(1)>> >>
OnePutsOneTransfers == << <<Put1>>, <<Transfer(1)>> >>
=============================================================================
