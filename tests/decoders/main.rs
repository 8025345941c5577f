//! No bytes make a decoder panic, loop for ever or reserve memory without bound: what comes from a topic, a disk or another
//! member may be anything. Wire formats have such tests of their own in `kstreams-wire`.

mod codecs;
mod hostile;
mod serdes;
mod stores;
mod topologies;
