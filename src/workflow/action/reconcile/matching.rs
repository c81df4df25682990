//! A record without its other half: who may that be?

use serde_json::Value;

use super::{Halves, Read, Step, Stepped, failed, sorted, turn};
use crate::sync::{Choice, Field, NoneFound, Question, SeveralFound, Which};
use crate::workflow::{Advance, Answer, Exchange, Looked, Purpose};

/// A field that finds the other half, and the value to look for in the form in which it is compared there.
struct Sign<'a> {
    field: &'a Field,
    value: Value,
}

impl<'a> Step<'a> {
    pub(super) fn alone(&self, looked: &Looked) -> Stepped<Advance> {
        let parents = self.parents(looked)?;
        if self.is_child
            && let Some(parent) = parents.iter().position(Option::is_none)
        {
            return Ok(self.parentless(Which::BOTH[parent]));
        }
        let mut ids = [String::new(), String::new()];
        ids[self.own.index()].clone_from(&self.of.id);
        let halves = Halves { ids, parents, looked };
        // Who is in no pair is written by nobody of us.
        let Read::Record(own) = self.read_within(self.own, &halves, &[])? else {
            return Ok(self.left(&format!("the {} is gone, and was in no pair", self.of.object), Vec::new()));
        };
        if !self.is_meant(self.own, &own)? {
            return Ok(self.nothing("`only_if` does not hold"));
        }
        let signs = self.signs(&own);
        let looked = self.looked(&self.of, self.own, &self.turns(&own, &signs, &halves))?;
        let halves = Halves { looked, ..halves };
        if looked.found.is_some() {
            // It was brought into a pair meanwhile: that is looked at with the turns of both.
            return self.advance();
        }
        let choice = looked.answers.iter().find(|answered| answered.question.key() == "match");
        match choice.map(|answered| &answered.choice) {
            Some(Choice::Link(id)) => return self.linked(halves, &own, id),
            Some(Choice::Create) => return self.create(halves, &own),
            Some(Choice::Leave) => return Ok(self.nothing("it is left without another half")),
            _ => {}
        }
        let mut hits: Vec<String> = Vec::new();
        for sign in &signs {
            let hit = self.found(sign, &halves)?;
            hits.extend(hit.into_iter().filter(|id| !hits.contains(id)).collect::<Vec<_>>());
        }
        let (taken, free): (Vec<String>, Vec<String>) = self.taken_ones(hits)?;
        match (free.as_slice(), taken.as_slice()) {
            ([], []) => self.none_found(halves, &own),
            ([one], []) => self.hit(halves, &own, &one.clone()),
            _ => match self.pair.several_found {
                SeveralFound::Skip => Ok(self.left("several records may be the other half", Vec::new())),
                SeveralFound::Ask => {
                    let question = Question::Several { other: self.other_object(), ids: free, taken };
                    Ok(self.left("several records may be the other half: a person decides", vec![question]))
                }
            },
        }
    }

    fn none_found(&self, halves: Halves<'_>, own: &Value) -> Stepped<Advance> {
        match self.pair.sides[self.own.other().index()].none_found {
            NoneFound::Create => self.create(halves, own),
            NoneFound::Skip => Ok(self.left("there is no other half", Vec::new())),
            NoneFound::Ask => Ok(self.left(
                "there is no other half: a person decides",
                vec![Question::Alone { other: self.other_object(), missing: None }],
            )),
        }
    }

    fn parentless(&self, side: Which) -> Advance {
        let parent = self.remote(side).object.parent.as_ref().map_or("parent", |parent| parent.object.as_str());
        match side == self.own {
            true => self.nothing(&format!("it is not known whose it is: the event names no {parent}")),
            // When the two above become a pair, what is under them is looked at.
            false => self.nothing(&format!("its {parent} is in no pair")),
        }
    }

    /// What finds the other half, as far as the record has it.
    fn signs(&self, own: &Value) -> Vec<Sign<'a>> {
        let to = self.own.other();
        let half = self.half(self.own, own);
        let sign = |field: &'a Field| {
            let value = field.sent(self.own, &half).ok()??;
            // Read by the country of the one record that there is.
            let value = field.form(&self.half(to, own), to, Some(&value));
            (!value.is_null()).then_some(Sign { field, value })
        };
        self.pair.matching().filter_map(sign).collect()
    }

    /// Nobody else may look for what this one looks for, nor for this one.
    fn turns(&self, own: &Value, signs: &[Sign<'_>], halves: &Halves<'_>) -> Vec<String> {
        let mut turns = vec![turn(&self.of)];
        let at =
            |side: Which, what: &str| format!("{}/{}/{what}", self.connection(side), self.remote(side).object.name);
        let to = self.own.other();
        for sign in signs {
            turns.push(at(to, &format!("{}={}", sign.field.names[to.index()], sign.value)));
        }
        for field in self.pair.matching() {
            let value = field.now(&self.half(self.own, own), self.own);
            if !value.is_null() {
                turns.push(at(self.own, &format!("{}={value}", field.names[self.own.index()])));
            }
        }
        if turns.len() == 1 {
            for side in Which::BOTH {
                let parent = halves.parents[side.index()].as_deref().unwrap_or_default();
                turns.push(at(side, &format!("alone={parent}")));
            }
        }
        sorted(turns)
    }

    /// The ids of the records that a sign finds.
    fn found(&self, sign: &Sign<'_>, halves: &Halves<'_>) -> Stepped<Vec<String>> {
        let to = self.own.other();
        let name = &sign.field.names[to.index()];
        let purpose = Purpose::Find { field: name.clone() };
        let Some(find) = self.exchange(to, |exchange| exchange.purpose == purpose) else {
            let operation = self.remote(to).operation("find")?;
            let mut input = self.under(to, operation, halves)?;
            input.insert(name.clone(), sign.value.clone());
            return Err(self.sending(to, purpose, "find", Value::Object(input), &halves.looked.turns));
        };
        match &find.answer {
            Some(Answer::Done { value, .. }) => {
                let form = |record: &Value| {
                    let value = sign.field.now(&self.half(to, record), to);
                    (!value.is_null()).then_some(value)
                };
                Ok(self.remote(to).found(&sign.value, value, form))
            }
            // That there is none may be told so.
            Some(Answer::Failed(failure)) if failure.name == "not_found" => Ok(Vec::new()),
            answer => Err(failed(answer.as_ref()).into()),
        }
    }

    /// Those that are in a pair with another record already, and the others.
    pub(super) fn taken_ones(&self, ids: Vec<String>) -> Stepped<(Vec<String>, Vec<String>)> {
        let to = self.own.other();
        let (mut taken, mut free) = (Vec::new(), Vec::new());
        for id in ids {
            let of = self.context.reference(self.remote(to).alias, &self.remote(to).object.name, &id)?;
            let partner = self.looked(&of, to, &[])?.found.as_ref();
            if partner.is_some() { taken.push(id) } else { free.push(id) }
        }
        Ok((taken, free))
    }

    /// A person says that this one is the other half.
    fn linked(&self, mut halves: Halves<'_>, own: &Value, id: &str) -> Stepped<Advance> {
        let (taken, _) = self.taken_ones(vec![id.to_owned()])?;
        if !taken.is_empty() {
            return Ok(self.only_taken(taken));
        }
        let to = self.own.other();
        halves.ids[to.index()] = id.to_owned();
        if matches!(self.read(to, &halves)?, Read::Gone) {
            let question = Question::Alone { other: self.other_object(), missing: Some(id.to_owned()) };
            return Ok(self.left("the other half that a person has named is not there", vec![question]));
        }
        self.hit(halves, own, id)
    }

    /// Nobody but one that is in a pair may be the other half.
    pub(super) fn only_taken(&self, taken: Vec<String>) -> Advance {
        let question = Question::Several { other: self.other_object(), ids: Vec::new(), taken };
        self.left("the only one that fits is in a pair already: a person decides", vec![question])
    }

    /// This one is the other half, and nothing was agreed yet.
    pub(super) fn hit(&self, mut halves: Halves<'_>, own: &Value, id: &str) -> Stepped<Advance> {
        let to = self.own.other();
        halves.ids[to.index()] = id.to_owned();
        let update = self.exchange(to, |exchange| exchange.purpose == Purpose::Update);
        let has_gone = update.and_then(Exchange::failure).is_some_and(|failure| failure.name == "not_found");
        match self.read(to, &halves)? {
            // What finds it still knew one that is gone, or it went meanwhile.
            _ if has_gone => self.none_found(halves, own),
            Read::Gone => self.none_found(halves, own),
            Read::Record(other) if !self.is_meant(to, &other)? => {
                Ok(self.nothing("`only_if` of the other side does not hold"))
            }
            Read::Record(other) => self.compare(&halves, [own.clone(), other], &Default::default()),
        }
    }
}
