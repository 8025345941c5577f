//! Talks to a broker over real sockets, in hand-built requests.

#[cfg(test)]
mod client;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod persistence;
#[cfg(test)]
mod records;
#[cfg(test)]
mod topics;
#[cfg(test)]
mod transactions;
