/** Every address of the interface. A page is loaded when it is first gone to; its module exports it as `Component`.
 * What an address begins with is named in `service/ui/pages.py`, too. */
import { createBrowserRouter } from 'react-router'
import { wasAway } from './api/connection'
import { Loading } from './components/States'
import { patiently } from './lib/patience'
import { Bar } from './shell/Bar'
import { ErrorPage } from './shell/ErrorPage'
import { NotFound } from './shell/NotFound'
import { OnItsWay, Shell } from './shell/Shell'

/** A page that is gone to while the service is away comes once that is back. */
const page =
  <Module,>(load: () => Promise<Module>) =>
  () =>
    patiently(load, { first: 500, longest: 1000, wasAway })

// A stylesheet that did not come would pass for one that is there at the next try.
document.addEventListener(
  'error',
  ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') target.remove()
  },
  true,
)

export const router = createBrowserRouter([
  {
    path: '/',
    Component: Shell,
    HydrateFallback: () => (
      <>
        <Bar />
        <OnItsWay />
        <Loading />
      </>
    ),
    children: [
      {
        ErrorBoundary: ErrorPage,
        children: [
          { index: true, lazy: page(() => import('./pages/overview/OverviewPage')) },
          { path: 'reports', lazy: page(() => import('./pages/reports/ReportsPage')) },
          { path: 'reports/new', lazy: page(() => import('./pages/builder/NewReportPage')) },
          { path: 'reports/:reportId', lazy: page(() => import('./pages/report/ReportPage')) },
          {
            path: 'reports/:reportId',
            lazy: page(() => import('./pages/builder/Builder')),
            children: [
              { path: 'parameters', lazy: page(() => import('./pages/builder/parameters/ParametersPage')) },
              { path: 'schedule', lazy: page(() => import('./pages/builder/schedule/SchedulePage')) },
              { path: 'review', lazy: page(() => import('./pages/builder/review/ReviewPage')) },
              { path: 'submit', lazy: page(() => import('./pages/builder/submit/SubmitPage')) },
            ],
          },
          { path: 'results', lazy: page(() => import('./pages/results/ResultsPage')) },
          { path: 'results/:collectionId', lazy: page(() => import('./pages/result/ResultPage')) },
          { path: 'schedules', lazy: page(() => import('./pages/schedules/SchedulesPage')) },
          { path: 'schedules/:scheduleId', lazy: page(() => import('./pages/schedules/SchedulePage')) },
          { path: 'schedules/:scheduleId/change', lazy: page(() => import('./pages/schedules/ChangePage')) },
          { path: 'workflows', lazy: page(() => import('./pages/workflows/WorkflowsPage')) },
          { path: 'workflows/new', lazy: page(() => import('./pages/workflows/EditPage')) },
          { path: 'workflows/:workflowId', lazy: page(() => import('./pages/workflows/WorkflowPage')) },
          { path: 'workflows/:workflowId/edit', lazy: page(() => import('./pages/workflows/EditPage')) },
          { path: 'instances', lazy: page(() => import('./pages/instances/InstancesPage')) },
          { path: 'instances/:instanceId', lazy: page(() => import('./pages/instances/InstancePage')) },
          { path: 'accounts/new', lazy: page(() => import('./pages/instances/ConnectPage')) },
          { path: 'accounts/:accountId', lazy: page(() => import('./pages/instances/AccountPage')) },
          {
            path: 'accounts/:accountId/add/:instanceId',
            lazy: page(() => import('./pages/instances/AddInstancePage')),
          },
          { path: 'audit', lazy: page(() => import('./pages/audit/AuditPage')) },
          { path: 'audit/events/:position', lazy: page(() => import('./pages/audit/EventPage')) },
          { path: 'audit/export', lazy: page(() => import('./pages/audit/ExportPage')) },
          { path: 'audit/history/:stream', lazy: page(() => import('./pages/audit/HistoryPage')) },
          { path: 'dead-letters', lazy: page(() => import('./pages/letters/LettersPage')) },
          { path: '*', Component: NotFound },
        ],
      },
    ],
  },
])
