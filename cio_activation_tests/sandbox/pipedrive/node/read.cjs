// Reads by Pipedrive's own client what lies in an account about one person, and prints it as JSON.
// node read.cjs URL TOKEN PERSON
const v1 = require("pipedrive/v1");
const v2 = require("pipedrive/v2");

const [url, apiKey, who] = process.argv.slice(2);
const one = new v1.Configuration({ apiKey, basePath: `${url}/v1` });
const two = new v2.Configuration({ apiKey, basePath: `${url}/api/v2` });
const person_id = Number(who);

/** Every row of a list by its cursor, so many a page. */
async function walk(list, asked) {
  const rows = [];
  let cursor;
  do {
    const page = await list({ ...asked, limit: 1, ...(cursor ? { cursor } : {}) });
    rows.push(...page.data);
    cursor = page.additional_data.next_cursor;
  } while (cursor);
  return rows;
}

/** The body of an answer that is no success, as the client hands it on. */
async function refusal(promise) {
  return promise.then(
    () => null,
    (body) => body,
  );
}

async function main() {
  const activities = new v2.ActivitiesApi(two);
  const deals = new v2.DealsApi(two);
  const persons = new v2.PersonsApi(two);
  const notes = new v1.NotesApi(one);
  const found = {
    activities: await walk((asked) => activities.getActivities(asked), { person_id }),
    deals: await walk((asked) => deals.getDeals(asked), { person_id, status: "open" }),
    notes: (await notes.getNotes({ person_id, sort: "add_time DESC" })).data,
    person: (await persons.getPerson({ id: person_id })).data,
    open: (await persons.getPersons({ ids: who, include_fields: "undone_activities_count" })).data,
    users: (await new v1.UsersApi(one).getUsers()).data,
    types: (await new v1.ActivityTypesApi(one).getActivityTypes()).data,
    pipelines: (await new v2.PipelinesApi(two).getPipelines()).data,
    stages: (await new v2.StagesApi(two).getStages()).data,
  };
  found.activity = (await activities.getActivity({ id: found.activities[0].id })).data;
  found.deal = (await deals.getDeal({ id: found.deals[0].id })).data;
  found.note = (await notes.getNote({ id: found.notes[0].id })).data;
  found.made = (
    await activities.addActivity({
      AddActivityRequest: { subject: "By the SDK", type: "call", participants: [{ person_id, primary: true }] },
    })
  ).data;
  await activities.updateActivity({ id: found.made.id, AddActivityRequest: { done: true } });
  found.changed = (await activities.getActivity({ id: found.made.id })).data;
  await activities.deleteActivity({ id: found.made.id });
  found.gone = (await activities.getActivity({ id: found.made.id })).data;
  found.nobody = await refusal(persons.getPerson({ id: 4711 }));
  const added = await notes.addNote({ AddNoteRequest: { content: "<p>By the SDK</p>", person_id } });
  found.note_made = added.data;
  await notes.deleteNote({ id: added.data.id });
  return found;
}

main().then(
  (found) => console.log(JSON.stringify(found)),
  (error) => {
    console.error(error.stack ?? JSON.stringify(error));
    process.exit(1);
  },
);
