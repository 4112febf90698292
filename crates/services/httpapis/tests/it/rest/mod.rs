//! REST APIs through their operations and hosts.

mod access;
mod apis;
mod authorizers;
mod compression;
mod definitions;
mod deployments;
mod grades;
mod integrations;
mod limits;
mod methods;
mod models;
mod preflight;
mod resources;
mod responses;
mod serving;
mod stages;
mod tags;
mod trials;
mod validators;
mod web;
mod world;
