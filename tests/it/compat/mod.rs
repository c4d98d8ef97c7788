//! What real clients send and real servers answer, as public bug reports show it: each kind with many of its members.

mod embeddings;
mod limits;
mod prompts;
mod quirks;
mod reading;
mod routes;
mod translation;
mod web_pages;
